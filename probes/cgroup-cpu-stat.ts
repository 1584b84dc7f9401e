import { malformed } from './errors.ts';
import type { Host } from './host.ts';

const NSEC_PER_USEC = 1000;

/** Bandwidth counters of a cgroup since it exists. */
export interface CpuStat {
  /** Periods in which the cgroup had something to run. */
  readonly periods: number;
  /** Periods in which it used up its quota. */
  readonly throttledPeriods: number;
  /** Nanoseconds that its run queues were throttled, summed over CPUs. */
  readonly throttledNs: number;
}

const FIELD = /^(\w{1,40}) (\d{1,20})$/;

/**
 * Parses `cpu.stat`, kernel/sched/core.c: cpu_cfs_stat_show() for v1 (`throttled_time` in ns),
 * cpu_extra_stat_show() for v2 (`throttled_usec`).
 *
 * @returns undefined on v2 if the cgroup has no cpu controller, so that nothing limits it
 * @throws SourceError malformed
 * @see https://docs.kernel.org/scheduler/sched-bwc.html
 * @example parseCpuStat('nr_periods 53\nnr_throttled 48\nthrottled_time 2536933358\n')
 */
export function parseCpuStat(text: string): CpuStat | undefined {
  const fields = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name !== undefined) fields.set(name, Number(value));
  }
  if (fields.size === 0) throw malformed('cpu.stat', text);
  const [periods, throttledPeriods] = [fields.get('nr_periods'), fields.get('nr_throttled')];
  const [usec, nsec] = [fields.get('throttled_usec'), fields.get('throttled_time')];
  if (periods === undefined || throttledPeriods === undefined) return undefined;
  if (usec !== undefined) return { periods, throttledPeriods, throttledNs: usec * NSEC_PER_USEC };
  return nsec === undefined ? undefined : { periods, throttledPeriods, throttledNs: nsec };
}

/** @param cgroup folder of a cgroup of either version @throws SourceError */
export function readCpuStat(host: Host, cgroup: string): CpuStat | undefined {
  return parseCpuStat(host.attribute(`${cgroup}/cpu.stat`));
}
