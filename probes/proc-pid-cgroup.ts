import { parseCpuList } from './cpu-list.ts';
import { ifThere } from './errors.ts';
import { type Host, utf8 } from './host.ts';

/** Where a process is in the hierarchies that can confine it to CPUs; undefined where it is in none. */
export interface CgroupPaths {
  /** Of cgroup v2. */
  readonly unified: string | undefined;
  /** Of the cpuset controller of v1. */
  readonly cpuset: string | undefined;
}

const LINE = /^\d{1,10}:([^:]*):(\/.*)$/s;

/**
 * `/proc/<pid>/cgroup`, kernel/cgroup/cgroup.c proc_cgroup_show(): `0::/path` for v2, `N:cpuset:/path` for v1. A cgroup's
 * name has no newline. What lies outside of this process's cgroup namespace begins with `/..` and cannot be followed.
 *
 * @see https://man7.org/linux/man-pages/man7/cgroups.7.html
 * @example parseCgroup('0::/machine.slice/machine-qemu.scope/libvirt/emulator\n')
 */
export function parseCgroup(text: string): CgroupPaths {
  let unified: string | undefined;
  let cpuset: string | undefined;
  for (const line of text.split('\n')) {
    const [, controllers = '', path = ''] = LINE.exec(line) ?? [];
    if (path === '' || path.split('/').some((name) => name === '..' || name === '.')) continue;
    if (controllers === '') unified = path;
    else if (controllers.split(',').includes('cpuset')) cpuset = path;
  }
  return { unified, cpuset };
}

/**
 * The CPUs to which the cgroup confines a process; undefined where no cpuset tells. On v2 a cgroup without the
 * controller has no such file, and the nearest one above it counts.
 *
 * @param pid also a thread's id: libvirt gives each vCPU a cgroup of its own
 * @throws SourceError
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#cpuset-interface-files
 */
export function readEffectiveCpuset(host: Host, pid: number): readonly number[] | undefined {
  const { unified, cpuset } = parseCgroup(utf8(host.attribute(`${host.roots.procfs}/${pid}/cgroup`)));
  const base = `${host.roots.sysfs}/fs/cgroup`;
  if (cpuset !== undefined) {
    const cpus = cpusIn(host, `${base}/cpuset${cpuset}/cpuset.effective_cpus`);
    if (cpus !== undefined) return cpus;
  }
  if (unified === undefined) return undefined;
  for (let path = unified.replace(/\/+$/, ''); ; path = path.slice(0, path.lastIndexOf('/'))) {
    const cpus = cpusIn(host, `${base}${path}/cpuset.cpus.effective`);
    if (cpus !== undefined || path === '') return cpus;
  }
}

function cpusIn(host: Host, file: string): readonly number[] | undefined {
  const text = ifThere(() => host.attribute(file));
  return text === undefined ? undefined : parseCpuList(text);
}
