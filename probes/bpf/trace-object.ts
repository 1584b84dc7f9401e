import { SourceError } from '../errors.ts';
import { CountMap } from './count-map.ts';
import { Gates } from './gates.ts';
import { IdSet } from './id-set.ts';
import type { Libbpf, Pointer } from './libbpf.ts';
import { failure, loadObject, timeRuns } from './object-file.ts';

/** An object of this folder with programs on tracepoints. */
export type TraceObjectName =
  | 'trace-exits'
  | 'trace-notifications'
  | 'trace-interrupts'
  | 'trace-halt-poll'
  | 'trace-block'
  | 'trace-sched'
  | 'trace-lock';

// include/uapi/linux/bpf.h struct bpf_prog_info
const RUN_TIME = 192;
const RUN_COUNT = 200;
const INFO_BYTES = 208;

export interface Runs {
  readonly ns: number;
  readonly count: number;
}

/**
 * Programs on tracepoints, and the maps in which they count. Descriptors of this process hold all of it, and nothing is pinned:
 * the kernel removes it with the process, also after SIGKILL.
 */
export class TraceObject {
  readonly gates: Gates;
  readonly #links = new Map<string, Pointer>();
  readonly #maps = new Map<string, CountMap>();
  #followed: IdSet | undefined;

  private constructor(
    private readonly libbpf: Libbpf,
    private readonly object: Pointer,
    private readonly name: TraceObjectName,
  ) {
    this.gates = new Gates(libbpf, this.#find('gates'), this.#find('.bss'), this.title);
  }

  /** @throws SourceError if this kernel or these privileges do not allow it */
  static load(libbpf: Libbpf, name: TraceObjectName): TraceObject {
    const object = loadObject(libbpf, name, titleOf(name));
    try {
      return new TraceObject(libbpf, object, name);
    } catch (error) {
      libbpf.close(object);
      throw error;
    }
  }

  /** Names the object in errors. */
  get title(): string {
    return titleOf(this.name);
  }

  /**
   * Runs a program at each of its events from now on.
   *
   * @throws SourceError with the code not_in_this_kernel if the kernel does not have the tracepoint now
   */
  attach(program: string): void {
    if (this.#links.has(program)) return;
    const found = this.libbpf.findProgram(this.object, program);
    const link = found === null ? null : this.libbpf.attach(found);
    const path = `${this.title} ${program}`;
    if (link !== null) this.#links.set(program, link);
    else if (this.libbpf.errno() === 'ENOENT')
      throw new SourceError('absent', path, 'no such tracepoint in this kernel', 'not_in_this_kernel');
    else throw failure(this.libbpf, path);
  }

  /** Runs no program any more. What the maps have stays. */
  detach(): void {
    for (const link of this.#links.values()) this.libbpf.destroyLink(link);
    this.#links.clear();
  }

  /** Number of runs of a program while the kernel timed it, and their time. @throws SourceError */
  runs(program: string): Runs {
    const path = `${this.title} ${program}`;
    const found = this.libbpf.findProgram(this.object, program);
    if (found === null) throw failure(this.libbpf, path);
    const info = Buffer.alloc(INFO_BYTES);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(info.length);
    if (this.libbpf.programInfo(this.libbpf.programDescriptor(found), info, length) < 0)
      throw failure(this.libbpf, path);
    return { ns: Number(info.readBigUInt64LE(RUN_TIME)), count: Number(info.readBigUInt64LE(RUN_COUNT)) };
  }

  /** Makes the kernel time the runs of all programs of the host until `stop`. @throws SourceError */
  timeRuns(): { stop(): void } {
    return timeRuns(this.libbpf);
  }

  /** @throws SourceError if the object has no such map */
  map(name: string): CountMap {
    const known = this.#maps.get(name);
    if (known !== undefined) return known;
    const map = new CountMap(this.libbpf, this.#find(name), `${this.title} ${name}`);
    this.#maps.set(name, map);
    return map;
  }

  /** Limits an object with the map `followed` to events of these threads or processes. @throws SourceError */
  follow(ids: Iterable<number>): void {
    this.#followed ??= new IdSet(
      this.libbpf,
      this.libbpf.mapDescriptor(this.#find('followed')),
      `${this.title} followed`,
    );
    this.#followed.replace(new Set(ids), 1);
  }

  close(): void {
    this.detach();
    this.libbpf.close(this.object);
  }

  #find(map: string): Pointer {
    const found = this.libbpf.findMap(this.object, map);
    if (found === null) throw failure(this.libbpf, `${this.title} ${map}`);
    return found;
  }
}

function titleOf(name: TraceObjectName): string {
  return `BPF object ${name}`;
}
