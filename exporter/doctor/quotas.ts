import { NSEC_PER_SEC } from '../../kernel/units.ts';
import { type CpuStat, readCpuStat } from '../../probes/cgroup-cpu-stat.ts';
import type { Host } from '../../probes/host.ts';
import { findCgroups, type LimitedProcess } from '../collectors/vm-cgroups.ts';

/** A CPU quota of a VM. */
export interface ReportedQuota {
  /** As the label `group` of `kvm_vm_throttled_seconds_total`. */
  readonly group: string;
  /** Path in the hierarchy. */
  readonly cgroup: string;
  /** Microseconds of CPU time in each period. */
  readonly quota: number;
  /** Microseconds. */
  readonly period: number;
  /** Since the cgroup exists; undefined if it cannot be read. */
  readonly stat: CpuStat | undefined;
}

export interface ReportedQuotas {
  readonly quotas: readonly ReportedQuota[];
  /** The reason why there may be other quotas. */
  readonly unknown: readonly string[];
}

/** The CPU quotas that limit a process now: a VM, or the daemon. */
export function quotasOf(host: Host, process: LimitedProcess): ReportedQuotas {
  const { groups, problems } = findCgroups(host, process);
  const quotas = groups.flatMap(({ group, path, folder, quota }): ReportedQuota[] =>
    quota?.quota === undefined
      ? []
      : [{ group, cgroup: path, quota: quota.quota, period: quota.period, stat: statOf(host, folder) }],
  );
  return { quotas, unknown: problems.map(({ message }) => message) };
}

function statOf(host: Host, folder: string): CpuStat | undefined {
  try {
    return readCpuStat(host, folder);
  } catch {
    return undefined;
  }
}

/** @example 'quota     vcpu0: 20 ms each 100 ms (0.2 CPUs), used up in 48 of 53 periods, 2.5 s stopped' */
export function quotaLines({ quotas, unknown }: ReportedQuotas): string[] {
  const lines = quotas.map((quota) => `quota     ${quota.group}: ${quotaInWords(quota)}`);
  return [...lines, ...unknown.map((why) => `quota     unknown: ${why}`)];
}

export function quotaInWords({ quota, period, stat }: ReportedQuota): string {
  const limit = `${quota / 1000} ms each ${period / 1000} ms (${Number((quota / period).toFixed(2))} CPUs)`;
  if (stat === undefined) return limit;
  const stopped = (stat.throttledNs / NSEC_PER_SEC).toFixed(1);
  return `${limit}, used up in ${stat.throttledPeriods} of ${stat.periods} periods, ${stopped} s stopped`;
}
