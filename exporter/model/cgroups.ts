/** A cgroup whose quota limits a VM. */
export interface CgroupOfVm {
  /** The `group` label: `vm`, a part of it as its manager names it (`vcpu0`), or the path of an ancestor. */
  readonly group: string;
  /** Path in the hierarchy. */
  readonly path: string;
}

/** Folders that libvirt makes below a VM's cgroup: src/hypervisor/domain_cgroup.c, virCgroupNewThread(). */
const PART = /^(?:emulator|vcpu\d{1,4}|iothread\d{1,4})$/;
/** The folder between scope and parts in cgroup v2: src/util/vircgroupv2.c. */
const NESTED = 'libvirt';
/**
 * The cgroup in which KubeVirt puts all threads except the vCPUs, with isolateEmulatorThread:
 * pkg/hypervisor/kvm/runtime.go.
 */
const HOUSEKEEPING = 'housekeeping';

/** Whether libvirt gives a cgroup of this name to threads of a VM. */
export function isPartOfVm(name: string): boolean {
  return PART.test(name);
}

/** The cgroups that limit a VM's CPU time, innermost first. The root limits nothing. */
export interface CgroupsOfVm {
  /** Folder of the parts that libvirt makes; undefined if it makes none. */
  readonly parts: string | undefined;
  readonly groups: readonly CgroupOfVm[];
}

/**
 * @param main cgroup of the VM's main thread: with libvirt `.../machine-qemu.scope/libvirt/emulator`
 * @param vcpu that of one of its vCPUs; undefined if unknown. Kata keeps the vCPUs in the pod's cgroup and all else in
 * `/kata_overhead`, which has no quota
 */
export function cgroupsOfVm(main: string, vcpu: string | undefined): CgroupsOfVm {
  const { parts, groups } = cgroupsOf(main);
  const known = new Set(groups.map(({ path }) => path));
  const ofVcpu = cgroupsOf(vcpu ?? main).groups.filter(({ path }) => !known.has(path));
  if (ofVcpu.length === 0) return { parts, groups };
  const isBelow = vcpu?.startsWith(`${main}/`) === true;
  return { parts, groups: isBelow ? [...byPath(ofVcpu), ...groups] : [...ofVcpu, ...byPath(groups)] };
}

/** Of two cgroups of a VM, one is `vm`. */
function byPath(groups: readonly CgroupOfVm[]): CgroupOfVm[] {
  return groups.map(({ group, path }) => ({ group: group === 'vm' ? path : group, path }));
}

/** The cgroups above and at a path. */
export function cgroupsOf(path: string): CgroupsOfVm {
  const names = path.split('/').filter((name) => name !== '');
  const isSplit = names.length > 1 && isPartOfVm(names.at(-1) ?? '');
  if (isSplit) names.pop();
  const groups: CgroupOfVm[] = [];
  const parts = isSplit ? `/${names.join('/')}` : undefined;
  if (isSplit && names.at(-1) === NESTED) {
    groups.push({ group: NESTED, path: `/${names.join('/')}` });
    names.pop();
  }
  if (names.at(-1) === HOUSEKEEPING && names.some((name) => name.startsWith('kubepods'))) {
    groups.push({ group: HOUSEKEEPING, path: `/${names.join('/')}` });
    names.pop();
  }
  for (let depth = names.length; depth > 0; depth--) {
    const ancestor = `/${names.slice(0, depth).join('/')}`;
    groups.push({ group: depth === names.length ? 'vm' : ancestor, path: ancestor });
  }
  return { parts, groups };
}
