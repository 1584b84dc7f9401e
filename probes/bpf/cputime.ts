/** Nanoseconds, as `struct task_struct` has them. */
export interface RawTimes {
  readonly utime: number;
  readonly stime: number;
  /** The precise time on a CPU. */
  readonly run: number;
  /** The result that the kernel gave last; undefined if this kernel does not adjust times. */
  readonly previous: { readonly utime: number; readonly stime: number } | undefined;
}

/**
 * User and system time as /proc shows them: cputime_adjust() in kernel/sched/cputime.c. The kernel counts `utime` and `stime`
 * by ticks, and divides the precise time in their proportion, so that neither falls.
 */
export function adjustedTimes({ utime, stime, run, previous }: RawTimes): { utime: number; stime: number } {
  if (previous === undefined) return { utime, stime };
  if (previous.utime + previous.stime >= run) return previous;
  const system = Math.max(previous.stime, Math.min(run, scaled(utime, stime, run)));
  const user = run - system;
  return user >= previous.utime
    ? { utime: user, stime: system }
    : { utime: previous.utime, stime: run - previous.utime };
}

function scaled(utime: number, stime: number, run: number): number {
  if (stime === 0) return 0;
  if (utime === 0) return run;
  // Exact where nothing needs to be scaled.
  return utime + stime === run ? stime : Math.floor((stime / (utime + stime)) * run);
}
