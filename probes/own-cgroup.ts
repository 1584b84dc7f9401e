import { posix } from 'node:path';
import { readCpuQuota } from './cgroup-cpu-max.ts';
import { type CpuStat, readCpuStat } from './cgroup-cpu-stat.ts';
import { namespaceRoot } from './cgroup-namespace.ts';
import { ifThere } from './errors.ts';
import type { Host } from './host.ts';
import { hierarchyOf, readCgroup } from './proc-pid-cgroup.ts';

/** The CPU quota of the cgroup in which this process runs. */
export interface OwnThrottling {
  readonly folder: string;
  readonly isLimited: boolean;
  readonly stat: CpuStat;
}

/**
 * How long the CPU quota of its own cgroup stopped this process; not that of a cgroup above.
 *
 * @returns undefined in the root of a hierarchy, which can have no quota, and without the cpu controller
 * @throws SourceError
 */
export function readOwnThrottling(host: Host): OwnThrottling | undefined {
  const paths = ifThere(() => readCgroup(host, `${host.roots.procfs}/self`));
  const base = `${host.roots.sysfs}/fs/cgroup`;
  const { cpu, unified } = paths ?? {};
  // In a cgroup namespace of its own a process is at the root.
  const root = (host.isLive ? namespaceRoot(host) : undefined) ?? '/';
  const folder = cpu === undefined ? base + posix.join(root, unified ?? '/') : hierarchyOf(host, 'cpu') + cpu;
  const quota = ifThere(() => readCpuQuota(host, folder));
  const stat = quota && ifThere(() => readCpuStat(host, folder));
  return quota && stat && { folder, isLimited: quota.quota !== undefined, stat };
}
