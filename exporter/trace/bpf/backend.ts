import { SourceError, sourceError } from '../../../probes/errors.ts';
import type { SetReading } from '../../model/trace-reading.ts';
import type { VmTrace } from '../../model/vm-trace.ts';
import type { Backend } from '../backend.ts';
import { traceOf } from '../counts.ts';
import type { TraceSetName } from '../sets.ts';
import { OBJECTS } from './objects.ts';
import { type LoadTraceObject, type ObjectDependencies, TracedObject } from './traced-object.ts';

/** Seconds between two tries of a missing tracepoint: kvm may be loaded later. */
const RETRY_TICKS = 30;

export interface BpfOptions extends ObjectDependencies {
  readonly load: LoadTraceObject;
}

/** Counts in the kernel, with programs on raw tracepoints. Each object works without the others. */
export class BpfBackend implements Backend {
  readonly name = 'bpf';
  readonly limits = [];
  readonly #objects: readonly TracedObject[];
  readonly #failures: SourceError[] = [];
  readonly #maps: number;
  #ticks = 0;

  /** Loads the objects of the sets. */
  constructor(private readonly options: BpfOptions) {
    const { sets, load, tallies } = options;
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
    for (const _ of this.read());
    for (const object of this.#objects) object.close();
    return [];
  }

  get sets(): readonly SetReading[] {
    return this.#objects.flatMap((object) =>
      object.isIdle ? [] : object.sets.map((set) => readingOf(object, set)),
    );
  }

  get problems(): readonly SourceError[] {
    return this.#objects.flatMap(({ problems }) => problems);
  }
}

function readingOf(object: TracedObject, set: TraceSetName): SetReading {
  return { set, entries: object.entriesOf(set), dropped: object.droppedOf(set), activeRatio: 1 };
}
