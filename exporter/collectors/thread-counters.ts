import { NSEC_PER_TICK } from '../../kernel/units.ts';
import { countCpuList } from '../../probes/cpu-list.ts';
import { isGone, type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import type { TaskSchedstat } from '../../probes/proc-task-schedstat.ts';
import { readTaskStat } from '../../probes/proc-task-stat.ts';
import type { TaskStatus } from '../../probes/proc-task-status.ts';
import type { Task, TaskTimes } from '../../probes/task.ts';
import { type CpuTimes, splitCpuTime } from '../model/cpu-split.ts';
import type { ThreadCounters } from '../model/pooled.ts';
import type { ThreadObservation } from '../model/vm.ts';

/** Counters that this kernel lacks, as far as this collection knows. */
export interface Missing {
  schedstat: boolean;
  sched: boolean;
}

export interface ThreadReading {
  readonly counters: ThreadCounters;
  /** Number of CPUs in the affinity mask. */
  readonly allowedCpus: number | undefined;
  /** Errors of counters that exist but could not be read. The other counters are still valid. */
  readonly problems: readonly SourceError[];
}

/**
 * Reads the counters of one thread, each independently.
 *
 * @param before CPU time by mode at the previous reading
 * @returns undefined if the thread has exited
 */
export function readThread(
  host: Host,
  { thread: { path }, task }: ThreadObservation,
  before: CpuTimes | undefined,
  missing: Missing,
): ThreadReading | undefined {
  const problems: SourceError[] = [];
  const read = <T>(probe: () => T): T | 'gone' | undefined => {
    try {
      return probe();
    } catch (error) {
      if (isGone(error)) return 'gone';
      problems.push(sourceError(error, path));
      return undefined;
    }
  };
  const cpu = read(() => task.cpuTimes() ?? readTaskStat(host, path));
  const schedstat = missing.schedstat ? undefined : read(() => task.schedstat());
  const sched = missing.sched ? undefined : read(() => task.migrations());
  const status = read(() => statusOf(task));
  // Every kernel provides this file for every live thread.
  if (status === 'gone' || cpu === 'gone') return undefined;
  // The thread exists and the counter does not, so this kernel has it for no thread.
  if (schedstat === 'gone') missing.schedstat = true;
  if (sched === 'gone') missing.sched = true;
  const times = schedstat === 'gone' ? undefined : kept(schedstat, cpu);
  return {
    counters: {
      schedstat: times,
      cpu: cpu && splitCpuTime(cpu, times && times.run / NSEC_PER_TICK, before),
      switches: status && { voluntary: status.voluntarySwitches, involuntary: status.involuntarySwitches },
      migrations: sched === 'gone' ? undefined : sched,
    },
    allowedCpus: status?.allowedCpus,
    problems,
  };
}

function statusOf(task: Task): TaskStatus & { readonly allowedCpus: number } {
  const status = task.status();
  return { ...status, allowedCpus: countCpuList(status.cpusAllowedList) };
}

/**
 * A kernel without sched_info prints zeros for threads that have run. Treat them as unknown, not as 0
 * seconds.
 */
function kept(schedstat: TaskSchedstat | undefined, cpu: TaskTimes | undefined): TaskSchedstat | undefined {
  if (schedstat === undefined) return undefined;
  const isCounted =
    schedstat.timeslices > 0 || schedstat.run > 0 || cpu === undefined || cpu.utime + cpu.stime === 0;
  return isCounted ? schedstat : undefined;
}
