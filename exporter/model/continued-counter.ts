import { getOrInsert } from '../../kernel/maps.ts';
import { isStale } from './stale-reading.ts';
import { VcpuCounters, type VcpuCounts } from './vcpu-counters.ts';
import type { VcpuTable } from './vcpu-table.ts';

/** Readings of a counter by part: a vCPU, a path of a disk, or `''` if there is only one reading. */
export type Addends = Iterable<readonly [part: string, reading: number]>;

/**
 * The meaning of a reading that falls. `restarting`: the source restarted. `wavering`: nothing, because the
 * reading is the difference of two counts that are read one after the other.
 */
export type ReadingKind = 'restarting' | 'wavering';

/**
 * The readings of one source. A host has tens of thousands of counters, and almost all have one source with one part,
 * so only counters with more parts have a Map.
 */
class Source {
  /** The first part, and its last reading. */
  #part: string | undefined;
  #last = 0;
  /** The last readings of the other parts. A part that disappears and returns continues from it. */
  #others: Map<string, number> | undefined;
  /** Sum of the parts. A restart does not lower it. */
  sum = 0;
  /** `sum` + `offset` is the counter's value. */
  offset = 0;

  constructor(readonly name: string) {}

  take(part: string, reading: number, kind: ReadingKind): void {
    this.#part ??= part;
    const isFirst = part === this.#part;
    const before = isFirst ? this.#last : (this.#others?.get(part) ?? 0);
    if (reading >= before) this.sum += reading - before;
    else if (kind === 'wavering' || isStale(before, reading)) return;
    if (isFirst) this.#last = reading;
    else {
      this.#others ??= new Map();
      this.#others.set(part, reading);
    }
  }
}

/**
 * A counter that never falls or jumps, although its readings are a sum or come from several sources.
 *
 * The first source sets the value. When another source takes over, the value continues and grows by that
 * source's growth. A source that returns is credited with its growth while it was away, minus the growth that
 * the other sources reported in that time. A new part counts in full; a missing part keeps its last reading.
 * If a reading falls below half of the last one, the source restarted: the count in between is unknown and
 * not credited. A reading that fell by less is stale or wavers, and is ignored.
 */
export class ContinuedCounter {
  /** When its {@link CounterSet} used it. */
  round = 0;
  #current: Source | undefined;
  /** Earlier sources. Most counters always have the same source. */
  #others: Source[] | undefined;
  #value = 0;

  constructor(private readonly kind: ReadingKind = 'restarting') {}

  take(name: string, parts: Addends): number {
    const source = this.#source(name);
    for (const [part, reading] of parts) source.take(part, reading, this.kind);
    return this.#follow(source);
  }

  /** Takes the reading of a source with one part. */
  one(name: string, reading: number): number {
    const source = this.#source(name);
    source.take('', reading, this.kind);
    return this.#follow(source);
  }

  #source(name: string): Source {
    if (this.#current?.name === name) return this.#current;
    return this.#others?.find((other) => other.name === name) ?? new Source(name);
  }

  #follow(source: Source): number {
    const before = this.#current;
    if (before !== source) {
      const others = this.#others ?? [];
      const isNew = !others.includes(source);
      if (isNew && before !== undefined) source.offset = this.#value - source.sum;
      if (before !== undefined) this.#others = [...others.filter((other) => other !== source), before];
    }
    this.#value = Math.max(this.#value, source.sum + source.offset);
    if (before !== source) {
      source.offset = this.#value - source.sum;
      this.#current = source;
    }
    return this.#value;
  }
}

/** The counters of one subject, by name. */
export class CounterSet {
  readonly #counters = new Map<string, ContinuedCounter>();
  readonly #vcpus = new VcpuCounters();
  readonly #lists = new Map<string, ContinuedCounter[]>();
  #round = 0;

  constructor(private readonly kind: ReadingKind = 'restarting') {}

  take(name: string, source: string, parts: Addends): number {
    return this.#use(name).take(source, parts);
  }

  one(name: string, source: string, reading: number): number {
    return this.#use(name).one(source, reading);
  }

  #use(name: string): ContinuedCounter {
    let counter = this.#counters.get(name);
    if (counter === undefined) {
      counter = new ContinuedCounter(this.kind);
      this.#counters.set(name, counter);
    }
    counter.round = this.#round;
    return counter;
  }

  /** The counters of vCPUs and their sums, which never fall. They are kept for good. */
  vcpusOf(source: string, vcpus: VcpuTable): VcpuCounts {
    return this.#vcpus.take(source, vcpus);
  }

  /** Takes the readings of a source of several counters, such as the buckets of a histogram. */
  list(name: string, source: string, readings: readonly number[]): number[] {
    const counters = getOrInsert(this.#lists, name, (): ContinuedCounter[] => []);
    while (counters.length < readings.length) counters.push(new ContinuedCounter(this.kind));
    for (const counter of counters) counter.round = this.#round;
    return readings.map((reading, i) => counters[i]?.one(source, reading) ?? reading);
  }

  /** Forgets the counters that were not used since the last call: their source may restart from zero. */
  forgetUnused(): void {
    for (const [name, { round }] of this.#counters) if (round !== this.#round) this.#counters.delete(name);
    for (const [name, [first]] of this.#lists) if (first?.round !== this.#round) this.#lists.delete(name);
    this.#round++;
  }
}

/** The counters of subjects that come and go, such as VMs. */
export class CounterSets {
  readonly #sets = new Map<string, CounterSet>();

  of(subject: string): CounterSet {
    return getOrInsert(this.#sets, subject, () => new CounterSet());
  }

  /** Forgets all other subjects. */
  keep(subjects: Iterable<string>): void {
    const kept = new Set(subjects);
    for (const subject of this.#sets.keys()) if (!kept.has(subject)) this.#sets.delete(subject);
  }
}
