import { countCpuList } from '../../probes/cpu-list.ts';
import { isGone, type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readTaskMigrations } from '../../probes/proc-task-sched.ts';
import { readTaskSchedstat, type TaskSchedstat } from '../../probes/proc-task-schedstat.ts';
import { type TaskStat, USER_HZ } from '../../probes/proc-task-stat.ts';
import { readTaskStatus, type TaskStatus } from '../../probes/proc-task-status.ts';
import { type CpuTimes, splitCpuTime } from '../model/cpu-split.ts';
import type { ThreadCounters } from '../model/pooled.ts';
import type { VmThread } from '../model/vm.ts';

const TICK_NS = 1e9 / USER_HZ;

/** What this kernel has no file for, as far as this collection knows. */
export interface Missing {
  schedstat: boolean;
  sched: boolean;
}

export interface ThreadReading {
  readonly counters: ThreadCounters;
  /** CPUs in its affinity mask. */
  readonly allowedCpus: number | undefined;
  /** Files that are there and could not be read: each costs what it tells and nothing else. */
  readonly problems: readonly SourceError[];
}

/**
 * Reads the files of one thread, each by itself.
 *
 * @param before CPU time by mode as told the last time
 * @returns undefined where the thread has ended
 */
export function readThread(
  host: Host,
  { path }: VmThread,
  stat: TaskStat,
  before: CpuTimes | undefined,
  missing: Missing,
): ThreadReading | undefined {
  const problems: SourceError[] = [];
  const read = <T>(probe: (host: Host, path: string) => T): T | 'gone' | undefined => {
    try {
      return probe(host, path);
    } catch (error) {
      if (isGone(error)) return 'gone';
      problems.push(sourceError(error, path));
      return undefined;
    }
  };
  const schedstat = missing.schedstat ? undefined : read(readTaskSchedstat);
  const sched = missing.sched ? undefined : read(readTaskMigrations);
  const status = read(readStatus);
  // Every kernel has this file for every thread that lives.
  if (status === 'gone') return undefined;
  // The thread is there and the file is not: so it is for every thread of this kernel.
  if (schedstat === 'gone') missing.schedstat = true;
  if (sched === 'gone') missing.sched = true;
  const times = schedstat === 'gone' ? undefined : kept(schedstat, stat);
  return {
    counters: {
      schedstat: times,
      cpu: splitCpuTime(stat, times === undefined ? undefined : times.run / TICK_NS, before),
      switches: status && { voluntary: status.voluntarySwitches, involuntary: status.involuntarySwitches },
      migrations: sched === 'gone' ? undefined : sched,
    },
    allowedCpus: status?.allowedCpus,
    problems,
  };
}

function readStatus(host: Host, path: string): TaskStatus & { readonly allowedCpus: number } {
  const status = readTaskStatus(host, path);
  return { ...status, allowedCpus: countCpuList(status.cpusAllowedList) };
}

/** A kernel without sched_info prints zeros for threads that have run: no information, not zero seconds. */
function kept(schedstat: TaskSchedstat | undefined, stat: TaskStat): TaskSchedstat | undefined {
  if (schedstat === undefined) return undefined;
  const isCounted = schedstat.timeslices > 0 || schedstat.run > 0 || stat.utime + stat.stime === 0;
  return isCounted ? schedstat : undefined;
}
