/** CPU time of a thread by mode, in ticks; user is without guest. */
export interface CpuTimes {
  readonly user: number;
  readonly system: number;
  readonly guest: number;
}

/** What `/proc/<pid>/task/<tid>/stat` has, in ticks. */
export interface RawCpuTimes {
  /** With the guest's time in it. */
  readonly utime: number;
  readonly stime: number;
  readonly guestTime: number;
}

const NONE: CpuTimes = { user: 0, system: 0, guest: 0 };

/**
 * CPU time by mode that never falls and adds up to the time that the thread ran.
 *
 * The kernel scales utime and stime to the precise run time, and neither falls (cputime_adjust() in
 * kernel/sched/cputime.c), but it counts guest time in whole ticks and does not scale it. So utime minus guest time may
 * fall. utime + stime is trusted for the sum, stime for system, and guest time gets at most what leaves user where it was.
 *
 * @param runTicks time on a CPU by schedstat, in ticks and parts of one; undefined where nothing tells
 * @param before what this returned for the same incarnation of the thread; undefined the first time
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

/** utime and stime are rounded down each, which may lose one tick of their sum. */
function lostTick(sum: number, runTicks: number | undefined): number {
  if (runTicks === undefined) return 0;
  const missing = Math.floor(runTicks) - sum;
  // A little more is missing where the thread ran on between the two reads; much more is another kind of clock.
  return missing >= 1 && missing <= 10 ? 1 : 0;
}

function between(least: number, wanted: number, most: number): number {
  return Math.max(least, Math.min(wanted, most));
}
