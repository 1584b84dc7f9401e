import type { SourceError } from '../../probes/errors.ts';
import type { Incarnation } from '../../probes/proc-task-stat.ts';
import type { Task } from '../../probes/task.ts';
import type { VmThread } from './vm.ts';

/** The threads of VMs at one moment, from one read of the kernel. Missing threads are read from /proc. */
export interface ThreadSnapshot {
  /** All threads of a process, by ascending id; undefined if the snapshot does not have this process. */
  ofProcess(process: Incarnation): readonly Task[] | undefined;
  /** A kernel thread, which is a process of its own. */
  ofKernelThread(tid: number): Task | undefined;
  /** undefined if the thread is not in the snapshot, for example because it has exited. */
  of(thread: VmThread): Task | undefined;
  /** Why the read failed. */
  readonly problems: readonly SourceError[];
  /** Why this source is not used here, although nothing failed. */
  readonly missing: readonly SourceError[];
  /** Whether each BPF object that was tried is loaded now. */
  readonly objects: ReadonlyMap<string, boolean>;
}

/** A source that reads the threads of many processes at once. */
export interface ThreadSource {
  /** False if it is off, and for a copy of a host without rows. */
  readonly isWanted: boolean;
  /** Prepares the source, or tries it again. An unusable source is not an error. */
  prepare(): void;
  read(pids: ReadonlySet<number>): ThreadSnapshot;
}

/** Everything is read from /proc. */
export const NO_SNAPSHOT: ThreadSnapshot = {
  ofProcess: () => undefined,
  ofKernelThread: () => undefined,
  of: () => undefined,
  problems: [],
  missing: [],
  objects: new Map(),
};

export const NO_THREAD_SOURCE: ThreadSource = {
  isWanted: false,
  prepare: () => undefined,
  read: () => NO_SNAPSHOT,
};
