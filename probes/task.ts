import type { TaskSchedstat } from './proc-task-schedstat.ts';
import type { TaskStat } from './proc-task-stat.ts';
import type { TaskStatus } from './proc-task-status.ts';

/**
 * The kernel's counters of one thread, from its files in /proc or from a row of a BPF iterator. A method throws SourceError if
 * the kernel does not have the counters, or the thread has exited.
 */
export interface Task {
  readonly tid: number;
  /** As in {@link TaskStat}. */
  readonly comm: string;
  /** Ticks since boot. The thread id and this value identify a thread uniquely. */
  readonly startTime: number;
  /** CPU on which the thread last ran. */
  readonly processor: number;
  /** As in {@link TaskStat}. */
  readonly policy: number;
  readonly priority: number;
  /**
   * Whether core scheduling allows only threads with the same cookie beside it on its core. undefined without
   * CONFIG_SCHED_CORE, and from /proc, which lacks it.
   */
  readonly hasCoreCookie?: boolean | undefined;
  /** undefined if this source does not know the times now: `/proc/<pid>/task/<tid>/stat` does. */
  cpuTimes(): TaskTimes | undefined;
  schedstat(): TaskSchedstat;
  /** As in {@link TaskStatus}. */
  cpusAllowedList(): string;
  status(): TaskStatus;
  /** How often the scheduler moved the thread to another CPU. */
  migrations(): number;
}

/** In ticks of 1/USER_HZ s. */
export type TaskTimes = Pick<TaskStat, 'utime' | 'stime' | 'guestTime'>;
