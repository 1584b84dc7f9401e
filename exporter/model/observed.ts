import type { NumaPages } from '../../probes/proc-numa-maps.ts';
import type { Expectation } from './affinity.ts';
import { cpuListOf, libvirtIdOf } from './affinity.ts';
import type { Role } from './roles.ts';

/** CPUs on which a VM's threads run when nobody pins them; `unknown` where its cgroup cannot be followed. */
export type Unpinned = readonly number[] | 'unknown';

/** One thread of a VM as it runs now. */
export interface ObservedThread {
  readonly label: string;
  readonly role: Role;
  readonly tid: number;
  /** `Cpus_allowed_list` without white space. */
  readonly allowedList: string;
  /** The same, parsed; threads with the same text should share one list. */
  readonly allowed: readonly number[];
  /** CPUs on which the last few samples saw it; one sample alone says little. */
  readonly seenOn: readonly number[];
  /** undefined where it was not seen twice yet. */
  readonly migrationsPerSecond: number | undefined;
  /** The CPUs to which its cgroup confines it; undefined where that was not read. */
  readonly cpuset: readonly number[] | undefined;
  readonly expectation: Expectation | undefined;
}

export interface ObservedVm {
  /** The unique `vm` label. */
  readonly vm: string;
  readonly pid: number;
  /** undefined where its threads may run on all CPUs unless somebody pins them. */
  readonly unpinned: Unpinned | undefined;
  /** CPUs of the cgroup that holds all its threads; undefined where none confines it, or none can be followed. */
  readonly cpuset: readonly number[] | undefined;
  /** Nodes from which the kernel lets it have memory; undefined where that is not known. */
  readonly mems: readonly number[] | undefined;
  /** libvirt's name of it; empty where libvirt does not manage it. */
  readonly domain: string;
  readonly uuid: string;
  readonly threads: readonly ObservedThread[];
  /** undefined where numa_maps was not read. */
  readonly memory: NumaPages | undefined;
  /** Nodes of the block devices that carry its disks. */
  readonly deviceNodes: readonly number[];
  /** CPUs that take the interrupts of those devices. */
  readonly interruptCpus: readonly number[];
  /** CPUs that take the interrupt of what a CPU submits to those devices; none where that is not known. */
  takersOf(cpu: number): readonly number[];
}

/** Roles that move a VM's data; the emulator does, too, where a VM has none of these. */
export const IO_ROLES: ReadonlySet<Role> = new Set<Role>(['iothread', 'vhost', 'sqpoll']);

/**
 * The command that gives a thread these CPUs. A poller of io_uring can be moved since Linux 6.3 (io_uring/sqpoll.c).
 *
 * @param cpus those outside of its cpuset are left out: the kernel would refuse them
 * @returns undefined where the cpuset has none of them
 * @example commandFor(vm, thread, [2]) // 'virsh vcpupin web-1 0 2 --live', or 'taskset -pc 2 1234'
 */
export function commandFor(
  vm: ObservedVm,
  thread: ObservedThread,
  cpus: readonly number[],
): string | undefined {
  const list = cpuListOf(permitted(vm, thread, cpus));
  if (list === '') return undefined;
  if (isPinnedByLibvirt(vm, thread)) {
    const domain = argumentFor(vm);
    const id = libvirtIdOf(thread.role, thread.label);
    if (id === undefined) return `virsh emulatorpin ${domain} ${list} --live`;
    return `virsh ${thread.role === 'vcpu' ? 'vcpupin' : 'iothreadpin'} ${domain} ${id} ${list} --live`;
  }
  return `taskset -pc ${list} ${thread.tid}`;
}

/** libvirt gives the thread's own cgroup the CPUs as well, so only the VM's confines it. */
function isPinnedByLibvirt(vm: ObservedVm, { role, label }: ObservedThread): boolean {
  return vm.domain !== '' && (role === 'emulator' || libvirtIdOf(role, label) !== undefined);
}

/** Those of the CPUs that a thread can be given as its cgroup is now. */
export function permitted(
  vm: ObservedVm,
  thread: ObservedThread,
  cpus: readonly number[],
): readonly number[] {
  const cpuset = isPinnedByLibvirt(vm, thread) ? vm.cpuset : (thread.cpuset ?? vm.cpuset);
  return cpuset === undefined ? cpus : cpus.filter((cpu) => cpuset.includes(cpu));
}

/** A domain for virsh. A name that it or a shell could misread is not repeated: the uuid says the same. */
export function argumentFor({ domain, uuid }: Pick<ObservedVm, 'domain' | 'uuid'>): string {
  return /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/.test(domain) ? domain : uuid;
}
