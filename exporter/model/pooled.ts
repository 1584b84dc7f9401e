import type { CpuTimes } from './cpu-split.ts';

/** Counters that only grow while a thread lives. */
type Counts<K extends string> = Readonly<Record<K, number>>;

/** Counters of one thread, in the units of their kernel file; undefined if the file has none. */
export interface ThreadCounters {
  readonly schedstat: Counts<'run' | 'wait' | 'timeslices'> | undefined;
  readonly cpu: CpuTimes | undefined;
  readonly switches: Counts<'voluntary' | 'involuntary'> | undefined;
  readonly migrations: number | undefined;
}

/**
 * Sums the counters of one file over threads that come and go, such as QEMU's workers. The last reading of a
 * thread stays in the sum after the thread ends and while it cannot be read.
 */
export class PooledSum<K extends string> {
  readonly #names: readonly K[];
  #ended: Counts<K> | undefined;
  #last = new Map<string, Counts<K>>();

  constructor(names: readonly K[]) {
    this.#names = names;
  }

  /**
   * @param alive the living threads, by tid and start time; undefined for a thread that could not be read
   * @returns undefined if a thread was never read: without its counts the sum would jump later
   */
  update(alive: ReadonlyMap<string, Counts<K> | undefined>): Counts<K> | undefined {
    const last = new Map<string, Counts<K>>();
    let sum = this.#ended;
    for (const [key, counts] of this.#last) if (!alive.has(key)) sum = this.#add(sum, counts);
    this.#ended = sum;
    let isWhole = true;
    for (const [key, now] of alive) {
      const counts = now ?? this.#last.get(key);
      if (counts === undefined) {
        isWhole = false;
        continue;
      }
      last.set(key, counts);
      sum = this.#add(sum, counts);
    }
    this.#last = last;
    return isWhole ? sum : undefined;
  }

  #add(a: Counts<K> | undefined, b: Counts<K>): Counts<K> {
    if (a === undefined) return b;
    return Object.fromEntries(this.#names.map((name) => [name, a[name] + b[name]])) as Counts<K>;
  }
}

/** The sums over the threads of one role. */
export class ThreadPool {
  readonly #schedstat = new PooledSum(['run', 'wait', 'timeslices']);
  readonly #cpu = new PooledSum(['user', 'system', 'guest']);
  readonly #switches = new PooledSum(['voluntary', 'involuntary']);
  readonly #migrations = new PooledSum(['migrations']);

  /** @param alive counters of the living threads, by tid and start time */
  update(alive: ReadonlyMap<string, ThreadCounters>): ThreadCounters {
    const each = <T>(of: (counters: ThreadCounters) => T): Map<string, T> =>
      new Map([...alive].map(([key, counters]) => [key, of(counters)]));
    return {
      schedstat: this.#schedstat.update(each(({ schedstat }) => schedstat)),
      cpu: this.#cpu.update(each(({ cpu }) => cpu)),
      switches: this.#switches.update(each(({ switches }) => switches)),
      migrations: this.#migrations.update(
        each(({ migrations }) => (migrations === undefined ? undefined : { migrations })),
      )?.migrations,
    };
  }
}
