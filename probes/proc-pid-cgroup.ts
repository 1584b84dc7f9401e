import { posix } from 'node:path';
import { namespaceRoot } from './cgroup-namespace.ts';
import { parseCpuList } from './cpu-list.ts';
import { ifThere } from './errors.ts';
import { type Host, utf8 } from './host.ts';

/** A process's cgroup in each hierarchy that can limit its CPUs, CPU time or memory; undefined if it is in none. */
export interface CgroupPaths {
  /** Path in cgroup v2. */
  readonly unified: string | undefined;
  /** Path in the v1 cpuset hierarchy. */
  readonly cpuset: string | undefined;
  /** Path in the v1 cpu hierarchy, which has the quotas. */
  readonly cpu: string | undefined;
  /** Path in the v1 memory hierarchy. */
  readonly memory: string | undefined;
  /** The cgroup is outside this process's cgroup namespace, and the namespace's root is not known. */
  readonly isHidden: boolean;
}

const LINE = /^\d{1,10}:([^:]*):(\/.*)$/s;

/**
 * Parses `/proc/<pid>/cgroup`, kernel/cgroup/cgroup.c proc_cgroup_show(): `0::/path` for v2, `N:cpuset:/path`
 * for v1. A cgroup name has no newline. A path outside this process's cgroup namespace begins with `/..`: it is
 * relative to the namespace's root.
 *
 * @param root of the namespace, in v2; without it such a path cannot be resolved
 * @see https://man7.org/linux/man-pages/man7/cgroups.7.html
 * @example parseCgroup('0::/machine.slice/machine-qemu.scope/libvirt/emulator\n')
 */
export function parseCgroup(text: string, root?: string): CgroupPaths {
  let unified: string | undefined;
  let cpuset: string | undefined;
  let cpu: string | undefined;
  let memory: string | undefined;
  let isHidden = false;
  for (const line of text.split('\n')) {
    const [, list = '', path = ''] = LINE.exec(line) ?? [];
    const controllers = list.split(',');
    if (path === '' || !controllers.some((name) => ['', 'cpuset', 'cpu', 'memory'].includes(name))) continue;
    const isRelative = path.split('/').some((name) => name === '..' || name === '.');
    if (isRelative && (root === undefined || list !== '')) {
      isHidden = true;
      continue;
    }
    if (list === '') unified = isRelative ? posix.join(root ?? '/', path) : path;
    if (controllers.includes('cpuset')) cpuset = path;
    if (controllers.includes('cpu')) cpu = path;
    if (controllers.includes('memory')) memory = path;
  }
  return { unified, cpuset, cpu, memory, isHidden };
}

/** @param folder procfs folder of a process or task: libvirt gives each vCPU its own cgroup. @throws SourceError */
export function readCgroup(host: Host, folder: string): CgroupPaths {
  const text = utf8(host.attribute(`${folder}/cgroup`));
  const paths = parseCgroup(text);
  return paths.isHidden ? parseCgroup(text, namespaceRoot(host)) : paths;
}

/**
 * The CPUs to which a cgroup restricts its processes; undefined without a cpuset. On v2 a cgroup without the
 * controller lacks the file; the nearest ancestor with it applies. v1 has effective CPUs since Linux 3.17.
 *
 * @throws SourceError
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#cpuset-interface-files
 */
export function readCpuset(
  host: Host,
  { unified, cpuset }: Pick<CgroupPaths, 'unified' | 'cpuset'>,
): readonly number[] | undefined {
  const base = `${host.roots.sysfs}/fs/cgroup`;
  if (cpuset !== undefined) {
    const root = hierarchyOf(host, 'cpuset');
    for (const file of ['cpuset.effective_cpus', 'cpuset.cpus']) {
      const cpus = cpusIn(host, `${root}${cpuset}/${file}`);
      if (cpus !== undefined) return cpus;
    }
  }
  if (unified === undefined) return undefined;
  for (let path = unified.replace(/\/+$/, ''); ; path = path.slice(0, path.lastIndexOf('/'))) {
    const cpus = cpusIn(host, `${base}${path}/cpuset.cpus.effective`);
    if (cpus !== undefined || path === '') return cpus;
  }
}

/**
 * Folder of the v1 hierarchy of a controller. Where a hierarchy has several controllers, systemd makes a link for each;
 * other systems have only a folder with the names of all: `cpu,cpuacct` or `cpuset,cpu`.
 */
export function hierarchyOf(host: Host, controller: 'cpu' | 'cpuset' | 'memory'): string {
  const base = `${host.roots.sysfs}/fs/cgroup`;
  const usual = `${base}/${controller}`;
  if (ifThere(() => host.stat(usual)) !== undefined) return usual;
  const names = ifThere(() => host.entries(base)) ?? [];
  const joint = names.find((name) => name.split(',').includes(controller));
  return joint === undefined ? usual : `${base}/${joint}`;
}

/** The CPUs to which the cgroup of a process or task restricts it. @throws SourceError */
export function readEffectiveCpuset(host: Host, folder: string): readonly number[] | undefined {
  return readCpuset(host, readCgroup(host, folder));
}

/** The deepest cgroup that contains all of these; the root if they have no other in common. */
export function commonCgroup(all: readonly CgroupPaths[]): CgroupPaths {
  const common = (paths: readonly (string | undefined)[]): string | undefined => {
    const known = paths.filter((path) => path !== undefined);
    return known.length === 0 ? undefined : known.reduce(commonPath);
  };
  return {
    unified: common(all.map(({ unified }) => unified)),
    cpuset: common(all.map(({ cpuset }) => cpuset)),
    cpu: common(all.map(({ cpu }) => cpu)),
    memory: common(all.map(({ memory }) => memory)),
    isHidden: all.some(({ isHidden }) => isHidden),
  };
}

function commonPath(a: string, b: string): string {
  const [left, right] = [a.split('/'), b.split('/')];
  const differs = left.findIndex((name, i) => name !== right[i]);
  return (differs < 0 ? left : left.slice(0, differs)).join('/') || '/';
}

function cpusIn(host: Host, file: string): readonly number[] | undefined {
  const text = ifThere(() => host.attribute(file));
  return text === undefined || text.trim() === '' ? undefined : parseCpuList(text);
}
