import { type SourceError, sourceError } from '../../../probes/errors.ts';
import type { SetReading } from '../../model/trace-reading.ts';
import type { VmTrace } from '../../model/vm-trace.ts';
import { Backoff } from '../../schedule/backoff.ts';
import type { Backend } from '../backend.ts';
import { traceOf } from '../counts.ts';
import { OBJECTS, type ObjectOfSets } from './objects.ts';
import { ADJUST_MS, Sampling } from './sampling.ts';
import { type LoadTraceObject, type ObjectDependencies, TracedObject } from './traced-object.ts';

/** Seconds between two tries of a missing tracepoint: kvm may be loaded later. */
const RETRY_TICKS = 30;
/** Time until an object that could not be loaded is tried again, at first and at most. */
const FIRST_RETRY_MS = 60_000;
const MAX_RETRY_MS = 3_600_000;

export interface BpfOptions extends ObjectDependencies {
  readonly load: LoadTraceObject;
  /** Share of a CPU's time that tracing may take. */
  readonly budget: number;
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** From 0 to 1, without 1. */
  random?(): number;
  /** Repeats work until it is stopped. */
  repeat(work: () => void, everyMs: number): { stop(): void };
}

/** Counts in the kernel, with programs on raw tracepoints. Each object works without the others. */
export class BpfBackend implements Backend {
  readonly name = 'bpf';
  readonly limits = [];
  readonly #objects: TracedObject[] = [];
  readonly #failures = new Map<ObjectOfSets, SourceError>();
  readonly #sampling: Sampling;
  readonly #backoff: Backoff;
  #maps = -1;
  #adjusting: { stop(): void } | undefined;
  #ticks = 0;

  /** Loads the objects of the sets. `begin` makes them count. */
  constructor(private readonly options: BpfOptions) {
    const { sets, budget, now, random = Math.random } = options;
    this.#sampling = new Sampling(this.#objects, budget, now, random);
    this.#backoff = new Backoff(FIRST_RETRY_MS, MAX_RETRY_MS, now);
    this.#load(OBJECTS.filter((object) => object.sets.some((set) => sets.includes(set))));
  }

  /** Takes over the tallies from another backend, which has counted until now. */
  begin(): void {
    const { tallies, repeat } = this.options;
    for (const object of this.#objects) object.empty();
    this.#maps = tallies.restart();
    this.#sampling.adjust();
    this.#adjusting = repeat(() => this.#sampling.adjust(), ADJUST_MS);
  }

  /** Whether it counts anything. */
  get isUsable(): boolean {
    return this.#objects.length > 0;
  }

  /** The reason why it does not count all of the sets, apart from tracepoints that this kernel lacks. */
  get lacks(): readonly SourceError[] {
    return [...this.#failures.values()];
  }

  async tick(): Promise<void> {
    this.#ticks++;
    for (const object of this.#objects) object.follow();
    if (this.#ticks % RETRY_TICKS === 0) for (const object of this.#objects) object.attach();
    const retried = [...this.#failures].filter(([, { code }]) => code !== 'until_restart');
    if (retried.length > 0 && this.#backoff.isOver) this.#load(retried.map(([object]) => object));
  }

  *read(): Generator<void> {
    if (!this.options.tallies.areCurrent(this.#maps)) return;
    for (const object of this.#objects) {
      for (const map of object.maps) {
        object.read(map);
        yield;
      }
      object.takeDrops();
    }
  }

  of(vm: string): VmTrace {
    return traceOf(this.options.tallies, vm, this.options.isa);
  }

  /** The kernel's maps are always current. */
  current(): Promise<void> {
    return Promise.resolve();
  }

  async stop(): Promise<readonly SourceError[]> {
    this.#adjusting?.stop();
    this.#sampling.stop();
    for (const _ of this.read());
    for (const object of this.#objects) object.close();
    return [];
  }

  get sets(): readonly SetReading[] {
    return this.#objects.flatMap((object) => {
      if (object.isIdle) return [];
      const sampledRatio = this.#sampling.sampledRatio(object);
      const windowEvery = this.#sampling.windowEvery(object);
      return object.sets.map((set) => ({
        set,
        entries: object.entriesOf(set),
        dropped: object.droppedOf(set),
        activeRatio: 1,
        sampledRatio,
        windowEvery,
      }));
    });
  }

  get problems(): readonly SourceError[] {
    return [...this.#objects.flatMap(({ problems }) => problems), ...this.#sampling.problems];
  }

  get costRatio(): number {
    return this.#sampling.costRatio;
  }

  get costFactor(): number | undefined {
    return this.#sampling.costFactor;
  }

  #load(objects: readonly ObjectOfSets[]): void {
    for (const object of objects) {
      try {
        this.#objects.push(new TracedObject(object, this.options.load, this.options));
        this.#failures.delete(object);
      } catch (error) {
        this.#failures.set(object, sourceError(error, `BPF object ${object.name}`));
      }
    }
    if (this.#failures.size > 0) this.#backoff.failed();
  }
}
