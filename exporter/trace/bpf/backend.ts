import { SourceError, sourceError } from '../../../probes/errors.ts';
import type { SetReading } from '../../model/trace-reading.ts';
import type { VmTrace } from '../../model/vm-trace.ts';
import type { Backend } from '../backend.ts';
import { traceOf } from '../counts.ts';
import { OBJECTS } from './objects.ts';
import { ADJUST_MS, Sampling } from './sampling.ts';
import { type LoadTraceObject, type ObjectDependencies, TracedObject } from './traced-object.ts';

/** Seconds between two tries of a missing tracepoint: kvm may be loaded later. */
const RETRY_TICKS = 30;

export interface BpfOptions extends ObjectDependencies {
  readonly load: LoadTraceObject;
  /** Share of a CPU's time that tracing may take. */
  readonly budget: number;
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** Repeats work until it is stopped. */
  repeat(work: () => void, everyMs: number): { stop(): void };
}

/** Counts in the kernel, with programs on raw tracepoints. Each object works without the others. */
export class BpfBackend implements Backend {
  readonly name = 'bpf';
  readonly limits = [];
  readonly #objects: readonly TracedObject[];
  readonly #failures: SourceError[] = [];
  readonly #maps: number;
  readonly #sampling: Sampling;
  readonly #adjusting: { stop(): void } | undefined;
  #ticks = 0;

  /** Loads the objects of the sets. */
  constructor(private readonly options: BpfOptions) {
    const { sets, load, tallies, budget, now, repeat } = options;
    const wanted = OBJECTS.filter((object) => object.sets.some((set) => sets.includes(set)));
    this.#objects = wanted.flatMap((object) => {
      try {
        return [new TracedObject(object, load, options)];
      } catch (error) {
        this.#failures.push(sourceError(error, `BPF object ${object.name}`));
        return [];
      }
    });
    this.#maps = this.isUsable ? tallies.restart() : -1;
    this.#sampling = new Sampling(this.#objects, budget, now);
    this.#sampling.adjust();
    this.#adjusting = this.isUsable ? repeat(() => this.#sampling.adjust(), ADJUST_MS) : undefined;
  }

  /** Whether it counts anything. */
  get isUsable(): boolean {
    return this.#objects.length > 0;
  }

  /** Why it does not count all of the sets, apart from tracepoints that this kernel lacks. */
  get lacks(): readonly SourceError[] {
    const unknown = this.options.sets.filter((set) => !OBJECTS.some(({ sets }) => sets.includes(set)));
    const reason = 'BPF does not count this set';
    return [
      ...this.#failures,
      ...unknown.map((set) => new SourceError('absent', `trace set ${set}`, reason)),
    ];
  }

  async tick(): Promise<void> {
    this.#ticks++;
    if (this.#ticks % RETRY_TICKS === 0) for (const object of this.#objects) object.attach();
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
    for (const _ of this.read());
    for (const object of this.#objects) object.close();
    return [];
  }

  get sets(): readonly SetReading[] {
    return this.#objects.flatMap((object) => {
      if (object.isIdle) return [];
      const sampledRatio = this.#sampling.sampledRatio(object);
      return object.sets.map((set) => ({
        set,
        entries: object.entriesOf(set),
        dropped: object.droppedOf(set),
        activeRatio: 1,
        sampledRatio,
      }));
    });
  }

  get problems(): readonly SourceError[] {
    return [...this.#objects.flatMap(({ problems }) => problems), ...this.#sampling.problems];
  }

  get costRatio(): number {
    return this.#sampling.costRatio;
  }
}
