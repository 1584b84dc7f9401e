import { ifThere, malformed } from './errors.ts';
import type { Host } from './host.ts';

/** A limit of CPU time. */
export interface CpuQuota {
  /** Microseconds of CPU time in each period, on all CPUs together; undefined without a limit. */
  readonly quota: number | undefined;
  /** Microseconds. */
  readonly period: number;
}

const MAX_LINE = /^(max|\d{1,20}) (\d{1,20})\n$/;

/**
 * Parses `cpu.max` of v2, kernel/sched/core.c cpu_max_show().
 *
 * @throws SourceError malformed
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
 * @example parseCpuMax('20000 100000\n')
 */
export function parseCpuMax(text: string): CpuQuota {
  const [, quota, period] = MAX_LINE.exec(text) ?? [];
  if (quota === undefined) throw malformed('cpu.max', text);
  return { quota: quota === 'max' ? undefined : Number(quota), period: Number(period) };
}

const QUOTA_LINE = /^(-1|\d{1,20})\n$/;

/**
 * Reads `cpu.max` of v2 or `cpu.cfs_quota_us` and `cpu.cfs_period_us` of v1.
 *
 * @param cgroup folder of a cgroup of either version
 * @returns undefined if the cgroup has no cpu controller
 * @throws SourceError
 */
export function readCpuQuota(host: Host, cgroup: string): CpuQuota | undefined {
  const max = ifThere(() => host.attribute(`${cgroup}/cpu.max`));
  if (max !== undefined) return parseCpuMax(max);
  const text = ifThere(() => host.attribute(`${cgroup}/cpu.cfs_quota_us`));
  if (text === undefined) return undefined;
  const [, quota] = QUOTA_LINE.exec(text) ?? [];
  const period = host.decimal(`${cgroup}/cpu.cfs_period_us`);
  if (quota === undefined || period === undefined) throw malformed('cpu.cfs_quota_us', text);
  return { quota: quota === '-1' ? undefined : Number(quota), period };
}
