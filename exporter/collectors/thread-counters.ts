import { NSEC_PER_TICK } from '../../kernel/units.ts';
import { countCpuList } from '../../probes/cpu-list.ts';
import { isGone, type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readTaskMigrations } from '../../probes/proc-task-sched.ts';
import { readTaskSchedstat, type TaskSchedstat } from '../../probes/proc-task-schedstat.ts';
import type { TaskStat } from '../../probes/proc-task-stat.ts';
import { readTaskStatus, type TaskStatus } from '../../probes/proc-task-status.ts';
import { type CpuTimes, splitCpuTime } from '../model/cpu-split.ts';
import type { ThreadCounters } from '../model/pooled.ts';
import type { VmThread } from '../model/vm.ts';

/** Files that this kernel lacks, as far as this collection knows. */
export interface Missing {
  schedstat: boolean;
  sched: boolean;
}

export interface ThreadReading {
  readonly counters: ThreadCounters;
  /** Number of CPUs in the affinity mask. */
  readonly allowedCpus: number | undefined;
  /** Files that exist but could not be read. The other files still count. */
  readonly problems: readonly SourceError[];
}

/**
 * Reads each file of one thread independently.
 *
 * @param before CPU time by mode at the previous reading
 * @returns undefined if the thread has exited
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
  // Every kernel provides this file for every live thread.
  if (status === 'gone') return undefined;
  // The thread exists and the file does not, so this kernel has the file for no thread.
  if (schedstat === 'gone') missing.schedstat = true;
  if (sched === 'gone') missing.sched = true;
  const times = schedstat === 'gone' ? undefined : kept(schedstat, stat);
  return {
    counters: {
      schedstat: times,
      cpu: splitCpuTime(stat, times === undefined ? undefined : times.run / NSEC_PER_TICK, before),
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

/**
 * A kernel without sched_info prints zeros for threads that have run. Treat them as unknown, not as 0
 * seconds.
 */
function kept(schedstat: TaskSchedstat | undefined, stat: TaskStat): TaskSchedstat | undefined {
  if (schedstat === undefined) return undefined;
  const isCounted = schedstat.timeslices > 0 || schedstat.run > 0 || stat.utime + stat.stime === 0;
  return isCounted ? schedstat : undefined;
}
