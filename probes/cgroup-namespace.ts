import { ifThere } from './errors.ts';
import type { Host } from './host.ts';

/** This process's own cgroup file system. Its root is the root of the cgroup namespace. */
const OWN = '/sys/fs/cgroup';
/** Files of controllers; all other names are cgroups. */
const FILE = /^(?:cgroup|cpu|cpuset|dmem|hugetlb|io|irq|memory|misc|pids|rdma)\./;
/** A node of Kubernetes has a few thousand. */
const MAX_CGROUPS = 50_000;

const known = new WeakMap<Host, string | undefined>();

/**
 * Path, in the host's cgroup v2 hierarchy, of the cgroup in which this process's cgroup namespace begins:
 * `/kubepods.slice/.../cri-containerd-….scope`. The kernel shows paths of other cgroups relative to it. No file
 * contains it, so the cgroup is found by its inode, once. Undefined if it is not below the host's mount.
 *
 * @see https://man7.org/linux/man-pages/man7/cgroup_namespaces.7.html
 */
export function namespaceRoot(host: Host, own = OWN): string | undefined {
  if (!known.has(host)) known.set(host, find(host, own));
  return known.get(host);
}

function find(host: Host, own: string): string | undefined {
  const inode = ifThere(() => host.stat(own).inode);
  if (inode === undefined) return undefined;
  const base = `${host.roots.sysfs}/fs/cgroup`;
  const queue = [''];
  for (const path of queue) {
    // A cgroup may be removed after the listing.
    if (ifThere(() => host.stat(base + path).inode) === inode) return path === '' ? '/' : path;
    const names = ifThere(() => host.entries(base + path)) ?? [];
    for (const name of names) {
      if (FILE.test(name)) continue;
      if (queue.length >= MAX_CGROUPS) return undefined;
      queue.push(`${path}/${name}`);
    }
  }
  return undefined;
}
