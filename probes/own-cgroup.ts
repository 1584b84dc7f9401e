import { posix } from 'node:path';
import { once } from '../kernel/once.ts';
import { readCpuQuota } from './cgroup-cpu-max.ts';
import { type CpuStat, readCpuStat } from './cgroup-cpu-stat.ts';
import { type MemoryLimit, readMemoryLimits } from './cgroup-memory.ts';
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

/** Memory limits of the cgroup in which this process runs. */
export interface OwnMemoryLimits {
  readonly folder: string;
  readonly limits: readonly MemoryLimit[];
}

/**
 * The time for which the CPU quota of its own cgroup stopped this process, without the quotas of cgroups above.
 *
 * @returns undefined in the root of a hierarchy, which can have no quota, and without the cpu controller
 * @throws SourceError
 */
export function readOwnThrottling(host: Host, folderOf = ownFolders(host)): OwnThrottling | undefined {
  const folder = folderOf('cpu');
  const quota = ifThere(() => readCpuQuota(host, folder));
  const stat = quota && ifThere(() => readCpuStat(host, folder));
  return quota && stat && { folder, isLimited: quota.quota !== undefined, stat };
}

/**
 * How often this process reached the memory limits of its own cgroup; not those of a cgroup above. None in the root of a hierarchy
 * of v2, and without the memory controller.
 *
 * @throws SourceError
 */
export function readOwnMemoryLimits(host: Host, folderOf = ownFolders(host)): OwnMemoryLimits {
  const folder = folderOf('memory');
  return { folder, limits: readMemoryLimits(host, folder) };
}

/** The folder of this process's cgroup by controller. Reads which cgroup it is at the first call. */
export function ownFolders(host: Host): (controller: 'cpu' | 'memory') => string {
  const paths = once(() => ifThere(() => readCgroup(host, `${host.roots.procfs}/self`)));
  return (controller) => {
    const path = paths()?.[controller];
    if (path !== undefined) return hierarchyOf(host, controller) + path;
    // In a cgroup namespace of its own a process is at the root.
    const root = (host.isLive ? namespaceRoot(host) : undefined) ?? '/';
    return `${host.roots.sysfs}/fs/cgroup${posix.join(root, paths()?.unified ?? '/')}`;
  };
}
