/** CPU time of a thread by mode, in ticks. `user` excludes guest time. */
export interface CpuTimes {
  readonly user: number;
  readonly system: number;
  readonly guest: number;
}

/** The times in `/proc/<pid>/task/<tid>/stat`, in ticks. */
export interface RawCpuTimes {
  /** Includes guest time. */
  readonly utime: number;
  readonly stime: number;
  readonly guestTime: number;
}

const NONE: CpuTimes = { user: 0, system: 0, guest: 0 };

/**
 * Splits CPU time by mode. The times never fall, and their sum is the time that the thread ran.
 *
 * The kernel scales utime and stime to the precise run time, and neither falls (cputime_adjust() in
 * kernel/sched/cputime.c). But the kernel counts guest time in whole ticks and does not scale it, so utime
 * minus guest time may fall. This function takes the sum from utime + stime, takes system from stime, and
 * limits guest time so that user does not fall.
 *
 * @param runTicks time on a CPU by schedstat, in ticks and fractions of a tick; undefined if not available
 * @param before the last result for the same incarnation of the thread; undefined the first time
 */
export function splitCpuTime(
  { utime, stime, guestTime }: RawCpuTimes,
  runTicks: number | undefined,
  before: CpuTimes = NONE,
): CpuTimes {
  const sum = Math.max(
    utime + stime + lostTick(utime + stime, runTicks),
    before.user + before.system + before.guest,
  );
  const system = between(before.system, stime, sum - before.user - before.guest);
  const guest = between(before.guest, guestTime, sum - system - before.user);
  return { user: sum - system - guest, system, guest };
}

/** utime and stime are each rounded down, so their sum may be one tick short. */
function lostTick(sum: number, runTicks: number | undefined): number {
  if (runTicks === undefined) return 0;
  const missing = Math.floor(runTicks) - sum;
  // A few ticks may be missing if the thread ran between the two reads. A difference of more than 10 means another
  // clock.
  return missing >= 1 && missing <= 10 ? 1 : 0;
}

function between(least: number, wanted: number, most: number): number {
  return Math.max(least, Math.min(wanted, most));
}
