import type { Task } from '../../probes/task.ts';

/** SCHED_* of include/uapi/linux/sched.h. */
const POLICIES: Readonly<Record<number, string>> = {
  0: 'other',
  1: 'fifo',
  2: 'rr',
  3: 'batch',
  5: 'idle',
  6: 'deadline',
  7: 'ext',
};
const REAL_TIME: ReadonlySet<string> = new Set(['fifo', 'rr']);
const NICE_0 = 120;
const RT_0 = 99;

export interface SchedulingPolicy {
  readonly policy: string;
  /** The real-time priority for fifo and rr, the nice value for others. */
  readonly priority: number;
}

export function schedulingPolicy({ policy, priority }: Pick<Task, 'policy' | 'priority'>): SchedulingPolicy {
  const name = POLICIES[policy] ?? 'unknown';
  if (name === 'deadline') return { policy: name, priority: 0 };
  return { policy: name, priority: REAL_TIME.has(name) ? RT_0 - priority : priority - NICE_0 };
}
