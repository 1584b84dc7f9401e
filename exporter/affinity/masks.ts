import { parseCpuList } from '../../probes/cpu-list.ts';
import type { Host } from '../../probes/host.ts';
import { readTaskStatus } from '../../probes/proc-task-status.ts';
import type { VmThread } from '../model/vm.ts';

export interface Mask {
  /** `Cpus_allowed_list`. */
  readonly text: string;
  /** The same list for all threads that have the same text. */
  readonly cpus: readonly number[];
}

/** There are few different masks on a host; a tenant that invents them must not fill the memory. */
const MAX_LISTS = 4096;

/** Reads affinity masks. What is judged each second for thousands of threads is parsed once. */
export class Masks {
  #lists = new Map<string, readonly number[]>();
  readonly #masks = new WeakMap<VmThread, Mask>();

  constructor(private readonly host: Host) {}

  /** As of now. @throws SourceError */
  read(thread: VmThread): Mask {
    const text = readTaskStatus(this.host, thread.path).cpusAllowedList;
    const before = this.#masks.get(thread);
    if (before?.text === text) return before;
    const mask = { text, cpus: this.list(text) };
    this.#masks.set(thread, mask);
    return mask;
  }

  /** As last read; undefined for a thread that never was. */
  of(thread: VmThread): Mask | undefined {
    return this.#masks.get(thread);
  }

  /** @throws SourceError malformed */
  list(text: string): readonly number[] {
    const known = this.#lists.get(text);
    if (known !== undefined) return known;
    if (this.#lists.size >= MAX_LISTS) this.#lists = new Map();
    const cpus = parseCpuList(text);
    this.#lists.set(text, cpus);
    return cpus;
  }
}
