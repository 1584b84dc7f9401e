import { decimalAt, decimalEnd } from '../kernel/decimal.ts';
import { isGone, malformed } from './errors.ts';
import type { Host } from './host.ts';

/** `PF_KTHREAD` of include/linux/sched.h: a kernel thread, whose name no user can choose. */
export const PF_KTHREAD = 0x0020_0000;

/** `PF_EXITING`: in do_exit(), which frees memory and descriptors before the process disappears. */
const PF_EXITING = 0x4;

export interface TaskStat {
  /**
   * Thread name, at most 15 bytes; longer for a kernel thread. The program chooses it: it may contain spaces,
   * parentheses and newlines; latin1 (see utf8()).
   */
  readonly comm: string;
  /** R, S, D, T, t, Z, X, I, P. */
  readonly state: string;
  /** PF_* bits. */
  readonly flags: number;
  /** Ticks of 1/USER_HZ s; includes guestTime. */
  readonly utime: number;
  readonly stime: number;
  /** The kernel's own number, smaller first: 120 and the nice value, 99 less the real-time priority, 0 for deadline. */
  readonly priority: number;
  /** Ticks since boot. The thread id and this value identify a thread uniquely. */
  readonly startTime: number;
  /** CPU on which the thread last ran. */
  readonly processor: number;
  /** SCHED_* of include/uapi/linux/sched.h. */
  readonly policy: number;
  /** Ticks in guest mode; part of utime. */
  readonly guestTime: number;
}

const FORMAT = '/proc/<pid>/stat';
const MAX_RT_PRIO = 100;
// Field numbers as in proc_pid_stat(5).
const FLAGS = 9;
const UTIME = 14;
const STIME = 15;
const PRIORITY = 18;
const STARTTIME = 22;
const PROCESSOR = 39;
const POLICY = 41;
const GUEST_TIME = 43;

/**
 * Parses `/proc/<pid>/stat` and `/proc/<pid>/task/<tid>/stat`, fs/proc/array.c.
 *
 * @throws SourceError malformed
 * @see https://docs.kernel.org/filesystems/proc.html#id10
 * @example parseTaskStat('252 (CPU 0/KVM) S 1 242 242 0 -1 138412224 ... 633 ... 1 0 0 -1 1 0 0 0 0 0 ...')
 */
export function parseTaskStat(text: string): TaskStat {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 1 || close < open || text.charCodeAt(close + 1) !== 32) throw malformed(FORMAT, text);

  let flags = 0;
  let utime = 0;
  let stime = 0;
  let priority = 0;
  let startTime = 0;
  let processor = 0;
  let policy = 0;
  let field = 3;
  let at = close + 2;
  for (; field < GUEST_TIME; field++) {
    if (field === FLAGS) flags = number(text, at);
    else if (field === UTIME) utime = number(text, at);
    else if (field === STIME) stime = number(text, at);
    else if (field === PRIORITY) priority = priorityAt(text, at);
    else if (field === STARTTIME) startTime = number(text, at);
    else if (field === PROCESSOR) processor = number(text, at);
    else if (field === POLICY) policy = number(text, at);
    at = text.indexOf(' ', at) + 1;
    if (at === 0) throw malformed(FORMAT, text);
  }
  return {
    comm: text.slice(open + 1, close),
    state: text.charAt(close + 2),
    flags,
    utime,
    stime,
    priority,
    startTime,
    processor,
    policy,
    guestTime: number(text, at),
  };
}

/** kernel/sched/core.c task_prio() prints it less MAX_RT_PRIO. */
function priorityAt(text: string, at: number): number {
  return text[at] === '-' ? Math.max(0, MAX_RT_PRIO - number(text, at + 1)) : MAX_RT_PRIO + number(text, at);
}

function number(text: string, at: number): number {
  const end = decimalEnd(text, at);
  if (end === at || text.charCodeAt(end) !== 32) throw malformed(FORMAT, text);
  return decimalAt(text, at);
}

/** @param task `/proc/<pid>` or `/proc/<pid>/task/<tid>` */
export function readTaskStat(host: Host, task: string): TaskStat {
  return parseTaskStat(host.attribute(`${task}/stat`));
}

/** A process, identified across reuse of its pid. */
export interface Incarnation {
  readonly pid: number;
  /** Ticks since boot. */
  readonly startTime: number;
}

/**
 * Whether it is still the same process and not exiting. Distinguishes a file that disappeared with its
 * process from one that is missing. If the read fails for another reason, the process counts as running.
 */
export function livesOn(host: Host, { pid, startTime }: Incarnation): boolean {
  try {
    const stat = readTaskStat(host, `${host.roots.procfs}/${pid}`);
    const hasEnded = stat.state === 'Z' || stat.state === 'X' || (stat.flags & PF_EXITING) !== 0;
    return stat.startTime === startTime && !hasEnded;
  } catch (error) {
    return !isGone(error);
  }
}
