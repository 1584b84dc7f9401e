import type { CountMap } from '../../../probes/bpf/count-map.ts';
import type { Control, Gate } from '../../../probes/bpf/gates.ts';
import type { Runs, TraceObjectName } from '../../../probes/bpf/trace-object.ts';
import { type SourceError, sourceError } from '../../../probes/errors.ts';
import { type Isa, isX86 } from '../../model/io-path.ts';
import type { EventCost } from '../budget.ts';
import type { TraceSetName } from '../sets.ts';
import type { Tallies } from '../tallies.ts';
import type { OwnerOf } from '../tally.ts';
import type { Followed, MapOfCounts, ObjectOfSets, Program } from './objects.ts';
import { type Row, rowsOf, tallyRows } from './rows.ts';
import { SampledExits } from './sampled-exits.ts';
import type { Sampled } from './sampling.ts';

/** An object that is loaded into the kernel: probes/bpf/trace-object.ts, or a test's. */
export interface LoadedObject {
  attach(program: string): void;
  /** Detaches all programs. */
  detach(): void;
  runs(program: string): Runs;
  timeRuns(): { stop(): void };
  map(name: string): Pick<CountMap, 'keySize' | 'valueSize' | 'maxEntries' | 'read' | 'take'>;
  follow(ids: Iterable<number>): void;
  readonly gates: { read(program: number): Gate[]; set(control: Control): void };
  close(): void;
}

/** @throws SourceError */
export type LoadTraceObject = (name: TraceObjectName) => LoadedObject;

export interface ObjectDependencies {
  readonly isa: Isa;
  readonly sets: readonly TraceSetName[];
  readonly tallies: Tallies;
  readonly threads: Followed & { readonly ownerOf: OwnerOf };
  /** Seconds since boot. */
  sinceBoot(): number;
}

/** A map that is fuller than this is emptied at the next reading. */
const FULL = 3 / 4;
/** Name of the map of ids. */
const FOLLOWED = 'followed';
/** Names the reading of events that found a map full. */
const DROPPED = 'dropped';

/** One object of programs on tracepoints: attaches what the sets need, and adds its maps to the tallies. */
export class TracedObject implements Sampled {
  readonly name: string;
  readonly sets: readonly TraceSetName[];
  readonly #loaded: LoadedObject;
  readonly #programs: readonly Program[];
  readonly #maps: readonly MapOfCounts[];
  readonly #entries = new Map<MapOfCounts, number>();
  readonly #exits = new SampledExits();
  /** Events without room in a map, as of the last reading. */
  #dropped = 0;
  #isShut = false;
  /** Whether there are events since the last reading of the exits that no program saw. */
  #wasShut = false;
  readonly #missing = new Map<string, SourceError>();
  readonly #failures = new Map<string, SourceError>();

  /** @throws SourceError if the object cannot be loaded */
  constructor(
    private readonly object: ObjectOfSets,
    load: LoadTraceObject,
    private readonly dependencies: ObjectDependencies,
  ) {
    const { isa, sets } = dependencies;
    const wanted = new Set(sets);
    this.name = object.name;
    this.sets = object.sets.filter((set) => wanted.has(set));
    this.#programs = object.programs(wanted).filter((program) => program.isX86 !== true || isX86(isa));
    // The map of a disabled set fills up as well, so it is read and emptied too.
    this.#maps = object.maps.map((map) => (wanted.has(map.set) ? map : { ...map, views: [] }));
    this.#loaded = load(object.name);
    try {
      this.follow();
      this.attach();
    } catch (error) {
      this.#loaded.close();
      throw error;
    }
  }

  /**
   * Attaches the programs whose tracepoint was missing before: kvm may be loaded later. Programs that end a
   * measurement come first, so that none begins without an end.
   *
   * @throws SourceError
   */
  attach(): void {
    if (this.#isShut) return;
    this.#missing.clear();
    for (const { name } of [...this.#programs].reverse()) {
      try {
        this.#loaded.attach(name);
      } catch (error) {
        const problem = sourceError(error, name);
        if (problem.code !== 'not_in_this_kernel') throw problem;
        this.#missing.set(name, problem);
      }
    }
  }

  /** Call when VMs may have other threads. The kernel leaves out events of other processes, if the object can. */
  follow(): void {
    const { follows } = this.object;
    if (follows === undefined) return;
    this.#failures.delete(FOLLOWED);
    try {
      this.#loaded.follow(this.dependencies.threads[follows]);
    } catch (error) {
      this.#failures.set(FOLLOWED, sourceError(error, FOLLOWED));
    }
  }

  /** Whether none of its tracepoints is in this kernel now. */
  get isIdle(): boolean {
    return this.#missing.size === this.#programs.length;
  }

  /** Tracepoints that this kernel lacks, and maps that could not be read. */
  get problems(): readonly SourceError[] {
    return [...this.#missing.values(), ...this.#failures.values()];
  }

  get maps(): readonly MapOfCounts[] {
    return this.#maps;
  }

  /** Adds the counts of a map to its tallies. A map that was nearly full at the last reading is emptied. */
  read(map: MapOfCounts): void {
    const { tallies, threads, sinceBoot } = this.dependencies;
    const { ownerOf } = threads;
    this.#failures.delete(map.name);
    try {
      const counts = this.#loaded.map(map.name);
      const isFull = (this.#entries.get(map) ?? 0) > counts.maxEntries * FULL;
      const counted = isFull ? counts.take() : counts.read();
      const found = rowsOf(counted, map, counts);
      const rows = map.value === 'exits' ? this.#takeExits(found) : found;
      this.#entries.set(map, rows.length);
      for (const view of map.views) {
        const tally = tallies.open(view.tally);
        tally.update(tallyRows(rows, view, map.value === 'sum', 0), ownerOf, sinceBoot());
        if (isFull) tally.restart();
      }
      if (isFull && map.value === 'exits') this.#exits.restart((tid) => ownerOf(tid) !== undefined);
    } catch (error) {
      this.#failures.set(map.name, sourceError(error, map.name));
    }
  }

  #takeExits(found: readonly Row[]): Row[] {
    const isSample = this.#wasShut;
    this.#wasShut = this.#isShut;
    return this.#exits.take(found, isSample);
  }

  /** Empties the maps. Their content no longer counts. */
  empty(): void {
    for (const map of this.#maps) {
      try {
        this.#loaded.map(map.name).take();
      } catch (error) {
        this.#failures.set(map.name, sourceError(error, map.name));
      }
    }
  }

  /** Entries of the fullest map of a set at the last reading. */
  entriesOf(set: TraceSetName): number {
    return Math.max(
      0,
      ...this.#maps.filter((map) => map.set === set).map((map) => this.#entries.get(map) ?? 0),
    );
  }

  /** Events of a set that found a map full. */
  droppedOf(set: TraceSetName): number {
    const { tallies } = this.dependencies;
    const views = this.#maps.filter((map) => map.set === set).flatMap((map) => map.views);
    return views.reduce((sum, { tally }) => sum + (tallies.get(tally)?.dropped ?? 0), 0);
  }

  /** Gates of the attached programs, with what an event costs. */
  get gates(): ReadonlyMap<number, EventCost> {
    return new Map(
      this.#programs.flatMap(({ gate, name, cost }) =>
        gate === undefined || this.#missing.has(name) ? [] : [[gate, cost] as const],
      ),
    );
  }

  /** A program's counts so far, by CPU. @throws SourceError */
  gate(number: number): Gate[] {
    return this.#loaded.gates.read(number);
  }

  /** @param control its periods by gate @throws SourceError */
  set(control: Control): void {
    this.#loaded.gates.set(control);
  }

  /** Its programs run again. @throws SourceError */
  open(): void {
    this.#isShut = false;
    this.attach();
  }

  /** Its programs do not run until `open`. */
  shut(): void {
    this.#isShut = true;
    this.#wasShut = true;
    this.#loaded.detach();
  }

  runNs(): number {
    return this.#programs.reduce(
      (sum, { name }) => sum + (this.#missing.has(name) ? 0 : this.#loaded.runs(name).ns),
      0,
    );
  }

  timeRuns(): { stop(): void } {
    return this.#loaded.timeRuns();
  }

  close(): void {
    this.#loaded.close();
  }

  /** Adds the events that found a map full to the first tally. */
  takeDrops(): void {
    const [first] = this.#maps.flatMap(({ views }) => views);
    this.#failures.delete(DROPPED);
    try {
      const gates = [...this.gates.keys()].flatMap((gate) => this.gate(gate));
      const dropped = gates.reduce((sum, gate) => sum + gate.dropped, 0);
      if (first !== undefined)
        this.dependencies.tallies.open(first.tally).addDropped(dropped - this.#dropped);
      this.#dropped = dropped;
    } catch (error) {
      this.#failures.set(DROPPED, sourceError(error, this.name));
    }
  }
}
