import { parseCpuList } from '../../../probes/cpu-list.ts';
import type { Host } from '../../../probes/host.ts';
import { readTaskStatus } from '../../../probes/proc-task-status.ts';
import type { Task } from '../../../probes/task.ts';
import type { VmThread } from '../../model/vm.ts';

export interface Mask {
  /** `Cpus_allowed_list`. */
  readonly text: string;
  /** One list object is shared by all threads with the same text. */
  readonly cpus: readonly number[];
}

/** A host has few different masks. The limit protects against a tenant that creates many. */
const MAX_LISTS = 4096;

/** Reads affinity masks, and parses each text once: thousands of threads are checked each second. */
export class Masks {
  #lists = new Map<string, readonly number[]>();
  readonly #masks = new WeakMap<VmThread, Mask>();

  constructor(private readonly host: Host) {}

  /**
   * Reads the current mask.
   *
   * @param task the thread in a snapshot; without it, /proc is read
   * @throws SourceError
   */
  read(thread: VmThread, task?: Task): Mask {
    const text = task?.cpusAllowedList() ?? readTaskStatus(this.host, thread.path).cpusAllowedList;
    const before = this.#masks.get(thread);
    if (before?.text === text) return before;
    const mask = { text, cpus: this.list(text) };
    this.#masks.set(thread, mask);
    return mask;
  }

  /** The mask as last read; undefined if it was never read. */
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
