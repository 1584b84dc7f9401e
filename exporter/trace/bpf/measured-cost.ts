/** Programs whose runs the kernel can time. */
export interface Timed {
  /** Nanoseconds that its programs have run while the kernel timed them. @throws SourceError */
  runNs(): number;
  /** Makes the kernel time the programs of the host until `stop`. @throws SourceError */
  timeRuns(): { stop(): void };
}

/** Totals of all programs so far. */
export interface Seen {
  readonly events: number;
  /** Their cost by the table, in nanoseconds. */
  readonly tableNs: number;
}

/** Timing takes two readings of the clock for each run of any BPF program of the host: a quarter of a second in ten minutes. */
const REPEAT_MS = 600_000;
/** After an interval with too few events. */
const RETRY_MS = 10_000;
/** With fewer events in an interval a budget has room for all of them anyway. */
const LEAST_EVENTS = 1000;
/**
 * The kernel's time excludes the call of a program, so a measurement far below the table is raised to this factor.
 */
const LEAST = 0.5;
/** Emulated hosts are this slow. */
const MOST = 256;

/** Measured cost of events on this host, relative to the table. The kernel times the programs in a short interval. */
export class MeasuredCost {
  #factor: number | undefined;
  #timing: { stop(): void } | undefined;
  #before: Seen & { readonly runNs: number } = { events: 0, tableNs: 0, runNs: 0 };
  #due: number;
  #last: Seen | undefined;

  /** @param now milliseconds of a monotonic clock */
  constructor(private readonly now: () => number) {
    this.#due = now();
  }

  /** undefined if it was not measured, because there were few events or the kernel does not allow it. */
  get factor(): number | undefined {
    return this.#factor;
  }

  /** Call at the end of each interval. */
  next(objects: readonly Timed[], seen: Seen): void {
    const last = this.#last;
    this.#last = seen;
    try {
      if (this.#timing !== undefined) this.#end(objects, seen);
      else if (last !== undefined && seen.events - last.events >= LEAST_EVENTS && this.now() >= this.#due)
        this.#begin(objects, seen);
    } catch {
      // Timing requires CAP_SYS_ADMIN. Without it the table is used.
      this.stop();
      this.#due = Number.POSITIVE_INFINITY;
    }
  }

  stop(): void {
    this.#timing?.stop();
    this.#timing = undefined;
  }

  #begin(objects: readonly Timed[], seen: Seen): void {
    this.#before = { ...seen, runNs: runNs(objects) };
    this.#timing = objects[0]?.timeRuns();
  }

  #end(objects: readonly Timed[], seen: Seen): void {
    this.stop();
    const [events, tableNs] = [seen.events - this.#before.events, seen.tableNs - this.#before.tableNs];
    const isEnough = events >= LEAST_EVENTS;
    if (isEnough)
      this.#factor = Math.min(MOST, Math.max(LEAST, (runNs(objects) - this.#before.runNs) / tableNs));
    this.#due = this.now() + (isEnough ? REPEAT_MS : RETRY_MS);
  }
}

function runNs(objects: readonly Timed[]): number {
  return objects.reduce((sum, object) => sum + object.runNs(), 0);
}
