import { SourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import type { Isa } from '../model/io-path.ts';
import type { SetReading } from '../model/trace-reading.ts';
import type { VmTrace } from '../model/vm-trace.ts';
import type { Backend } from './backend.ts';
import { sharesFor } from './budget.ts';
import { ChosenInterval } from './chosen-interval.ts';
import { traceOf } from './counts.ts';
import { TraceInstance } from './instance.ts';
import type { TraceSetName } from './sets.ts';
import type { Tallies } from './tallies.ts';
import type { OwnerOf } from './tally.ts';
import { TracedSet } from './traced-set.ts';
import type { TracefsWriter } from './writer.ts';

/** Seconds between two tries of a set without any tracepoint: kvm_amd or kvm_intel may be loaded later. */
const RETRY_TICKS = 30;
/** Seconds between two measurements of the rate of a set that counts all the time: reading the maps costs as much as a scrape. */
const RATE_TICKS = 5;
/** Seconds after which a window that is always open is created again: threads that are gone fill its maps. */
const WINDOW_TICKS = 60;

export interface TracefsDependencies {
  readonly host: Host;
  readonly writer: TracefsWriter;
  readonly pid: number;
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** From 0 to 1, without 1. */
  random?(): number;
  /** Seconds since boot. */
  sinceBoot(): number;
}

export interface TracefsOptions {
  readonly sets: readonly TraceSetName[];
  readonly dutyCycle: number;
  /** Share of a CPU's time that the sets without a duty cycle may take. */
  readonly budget: number;
  readonly isa: Isa;
  /** Counts of earlier instances; this one adds to them. */
  readonly tallies: Tallies;
  readonly threads: {
    readonly ownerOf: OwnerOf;
    /** Ids of the threads on the I/O path. */
    readonly onIoPath: readonly number[];
  };
}

/** Counts in the kernel, with hist triggers in its own instance: an event costs nothing in user space. */
export class TracefsBackend implements Backend {
  readonly name = 'tracefs';
  readonly limits = [];
  readonly #instance: TraceInstance;
  readonly #sets: readonly TracedSet[];
  /** The seconds in which each set counts that has no duty cycle. */
  readonly #seconds: ReadonlyMap<TracedSet, ChosenInterval>;
  #leftovers: readonly SourceError[] = [];
  #ticks = 0;

  constructor(
    private readonly dependencies: TracefsDependencies,
    private readonly options: TracefsOptions,
  ) {
    const { host, writer, pid, now, sinceBoot, random = Math.random } = dependencies;
    const { sets, isa, tallies, threads } = options;
    const instance = new TraceInstance(host, writer, pid);
    const { ownerOf } = threads;
    this.#instance = instance;
    this.#sets = sets.map((name) => new TracedSet(name, { instance, isa, tallies, ownerOf, now, sinceBoot }));
    const counting = this.#sets.filter(({ isDutyCycled }) => !isDutyCycled);
    this.#seconds = new Map(counting.map((set) => [set, new ChosenInterval(random)]));
  }

  /** @throws SourceError if tracefs or its hist triggers cannot be used */
  async start(): Promise<void> {
    this.#leftovers = await this.#instance.create();
    if (!this.#instance.hasHistTriggers) {
      await this.#instance.destroy();
      const reason = 'no hist triggers in this kernel (CONFIG_HIST_TRIGGERS)';
      throw new SourceError('absent', this.dependencies.host.roots.tracefs, reason);
    }
    this.options.tallies.restart();
    for (const set of this.#sets) await set.install(this.options.threads.onIoPath);
  }

  async stop(): Promise<readonly SourceError[]> {
    for (const _ of this.read());
    for (const set of this.#sets) set.forget();
    return this.#instance.destroy();
  }

  /** Opens and closes the windows of duty-cycled sets, and maintains maps and threads. */
  async tick(): Promise<void> {
    this.#ticks++;
    if (!this.#instance.exists) {
      for (const set of this.#sets) set.forget();
      await this.start();
    }
    const followed = this.options.threads.onIoPath;
    const isRetryDue = this.#ticks % RETRY_TICKS === 0;
    for (const set of this.#sets) {
      await set.maintain(followed, isRetryDue);
      await set.setWindow(this.#isWindow(), this.#ticks % WINDOW_TICKS === 0);
    }
    await this.#keepToBudget(followed);
  }

  /** Sets with many events count in some seconds only, and each event then stands for the others as well. */
  async #keepToBudget(followed: readonly number[]): Promise<void> {
    const all = [...this.#seconds];
    if (this.#ticks % RATE_TICKS === 0) {
      for (const [set, { share }] of all) if (share === 1) set.measure();
    }
    const shares = sharesFor(
      all.map(([set]) => set.rate),
      this.options.budget,
    );
    for (const [i, [set, seconds]] of all.entries()) {
      const isOpen = seconds.next(shares[i] ?? 1);
      await set.setSecond(isOpen, seconds.share, followed);
    }
  }

  *read(): Generator<void> {
    for (const set of this.#sets) {
      for (const event of set.events) {
        set.read(event);
        yield;
      }
    }
  }

  of(vm: string): VmTrace {
    return traceOf(this.options.tallies, vm, this.options.isa);
  }

  /** The kernel's maps are always current. */
  current(): Promise<void> {
    return Promise.resolve();
  }

  get problems(): readonly SourceError[] {
    return [...this.#leftovers, ...this.#sets.flatMap(({ problems }) => problems)];
  }

  get sets(): readonly SetReading[] {
    return this.#sets.flatMap(({ reading }) => reading ?? []);
  }

  /** Windows of one second, spread evenly: a duty cycle of 0.25 opens every fourth second. */
  #isWindow(): boolean {
    const { dutyCycle } = this.options;
    return Math.floor(this.#ticks * dutyCycle) > Math.floor((this.#ticks - 1) * dutyCycle);
  }
}
