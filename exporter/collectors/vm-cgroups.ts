import { type CpuQuota, readCpuQuota } from '../../probes/cgroup-cpu-max.ts';
import { ifThere, isGone, SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { type CgroupPaths, hierarchyOf, readCgroup } from '../../probes/proc-pid-cgroup.ts';
import { type CgroupOfVm, cgroupsOf, cgroupsOfVm, isPartOfVm } from '../model/cgroups.ts';
import type { Vm } from '../model/vm.ts';
import type { Collection } from './collector.ts';
import { Turns } from './turns.ts';

/** Cgroups and quotas rarely change, so those of a VM are read in one collection of so many. */
const FOUND_EVERY = 10;
/** libvirt makes a cgroup for each vCPU and IOThread. */
const MAX_PARTS = 2048;

/** A process and, if it is a VM, the threads of its vCPUs, as far as they are known. */
export type LimitedProcess = Pick<Vm, 'pid'> & Partial<Pick<Vm, 'vcpuThreads' | 'kvmVcpus'>>;

export interface Group extends CgroupOfVm {
  readonly folder: string;
  readonly quota: CpuQuota | undefined;
  /** It has or had a quota since the VM was found, so its counters stay. */
  readonly isLimited: boolean;
}

/** The cgroups of one VM as last found. */
export interface VmCgroups {
  readonly groups: readonly Group[];
  /** The VM's folder in the v2 hierarchy. */
  readonly unified: string | undefined;
  readonly problems: readonly SourceError[];
}

const NONE: VmCgroups = { groups: [], unified: undefined, problems: [] };

/** Finds the cgroups of VMs, once in each collection, and keeps them for some collections. */
export class CgroupsOfVms {
  #known: ReadonlyMap<string, VmCgroups> = new Map();
  #collection: object | undefined;
  readonly #turns: Turns;

  constructor(foundEvery = FOUND_EVERY) {
    this.#turns = new Turns(foundEvery);
  }

  /** By VM key. In most collections the cgroups of one VM in ten are read again. */
  of(collection: Pick<Collection, 'host' | 'vms'>): ReadonlyMap<string, VmCgroups> {
    if (this.#collection !== collection) this.#update(collection);
    this.#collection = collection;
    return this.#known;
  }

  #update({ host, vms }: Pick<Collection, 'host' | 'vms'>): void {
    this.#turns.begin();
    const known = new Map<string, VmCgroups>();
    for (const [i, vm] of vms.entries()) {
      const last = this.#known.get(vm.key);
      const isDue = last === undefined || last.problems.length > 0 || this.#turns.isTurnOf(i);
      known.set(vm.key, isDue ? findCgroups(host, vm, last) : last);
    }
    this.#known = known;
  }
}

/** Folders that are the cgroup of several VMs. Their counters belong to no single VM. */
export function sharedFolders(all: Iterable<string | undefined>): ReadonlySet<string> {
  const seen = new Set<string>();
  const shared = new Set<string>();
  for (const folder of all) {
    if (folder === undefined) continue;
    if (seen.has(folder)) shared.add(folder);
    seen.add(folder);
  }
  return shared;
}

/** @param last the cgroups found before */
export function findCgroups(host: Host, process: LimitedProcess, last?: VmCgroups): VmCgroups {
  const problems: SourceError[] = [];
  const attempt = <T>(path: string, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!isGone(error)) problems.push(sourceError(error, path));
      return undefined;
    }
  };
  const own = `${host.roots.procfs}/${process.pid}`;
  const paths = attempt(`${own}/cgroup`, () => readCgroup(host, own));
  if (paths === undefined) return { ...NONE, problems };
  if (paths.isHidden) {
    const reason =
      'the cgroup is outside the cgroup namespace of the exporter: run it in the one of the host';
    return { ...NONE, problems: [new SourceError('denied', `${own}/cgroup`, reason)] };
  }
  const { cpu, unified } = paths;
  const base = `${host.roots.sysfs}/fs/cgroup`;
  const root = cpu === undefined ? base : hierarchyOf(host, 'cpu');
  const [vcpu] = [...(process.vcpuThreads?.keys() ?? []), ...(process.kvmVcpus?.keys() ?? [])];
  const task = `${own}/task/${vcpu}`;
  const ofVcpu = vcpu === undefined ? undefined : attempt(`${task}/cgroup`, () => readCgroup(host, task));
  const { parts, groups } = cgroupsOfVm(pathOf(paths), ofVcpu && pathOf(ofVcpu));
  const wasLimited = new Set(last?.groups.filter(({ isLimited }) => isLimited).map(({ group }) => group));
  const found = [...partsIn(host, root, parts), ...groups].map(({ group, path }): Group => {
    const folder = root + path;
    const quota = attempt(folder, () => readCpuQuota(host, folder));
    return { group, path, folder, quota, isLimited: quota?.quota !== undefined || wasLimited.has(group) };
  });
  return { groups: found, unified: unifiedFolder(base, cpu !== undefined, unified), problems };
}

/** In the hierarchy that has the quotas. */
function pathOf({ cpu, unified }: CgroupPaths): string {
  return cpu ?? unified ?? '/';
}

function partsIn(host: Host, root: string, parts: string | undefined): CgroupOfVm[] {
  if (parts === undefined) return [];
  const names = ifThere(() => host.entries(root + parts)) ?? [];
  return names
    .filter(isPartOfVm)
    .slice(0, MAX_PARTS)
    .map((name) => ({ group: name, path: `${parts}/${name}` }));
}

/** Beside the v1 hierarchies, v2 is mounted as `unified`. */
function unifiedFolder(base: string, isHybrid: boolean, unified: string | undefined): string | undefined {
  const path = cgroupsOf(unified ?? '/').groups.find(({ group }) => group === 'vm')?.path;
  return path === undefined ? undefined : `${base}${isHybrid ? '/unified' : ''}${path}`;
}
