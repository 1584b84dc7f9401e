import { formatCpuList } from '../../kernel/cpu-list.ts';
import type { NumaPages } from '../../probes/proc-numa-maps.ts';
import type { Expectation } from './expectation.ts';
import { libvirtIdOf } from './libvirt-id.ts';
import type { Role } from './roles.ts';

/** CPUs on which a VM's threads run if they are not pinned; `unknown` if the VM's cgroup is hidden. */
export type Unpinned = readonly number[] | 'unknown';

/** The current state of one thread of a VM. */
export interface ObservedThread {
  readonly label: string;
  readonly role: Role;
  readonly tid: number;
  /** `Cpus_allowed_list` without white space. */
  readonly allowedList: string;
  /** The same, parsed. Threads with the same text should share one list. */
  readonly allowed: readonly number[];
  /** CPUs on which the last few samples found the thread. One sample alone proves little. */
  readonly seenOn: readonly number[];
  /** undefined until there are enough samples. */
  readonly migrationsPerSecond: number | undefined;
  /** The CPUs of the thread's cgroup; undefined if that was not read. */
  readonly cpuset: readonly number[] | undefined;
  readonly expectation: Expectation | undefined;
}

export interface ObservedVm {
  /** The unique `vm` label. */
  readonly vm: string;
  readonly pid: number;
  /** undefined if threads without a pin may run on all CPUs. */
  readonly unpinned: Unpinned | undefined;
  /**
   * CPUs of the cgroup that holds all its threads; undefined if no cgroup confines the VM, or its cgroup is
   * hidden.
   */
  readonly cpuset: readonly number[] | undefined;
  /** NUMA nodes from which the VM may get memory; undefined if unknown. */
  readonly mems: readonly number[] | undefined;
  /** libvirt's name of the VM; empty if libvirt does not manage it. */
  readonly domain: string;
  readonly uuid: string;
  readonly threads: readonly ObservedThread[];
  /** undefined if numa_maps was not read. */
  readonly memory: NumaPages | undefined;
  /** NUMA nodes of the block devices under its disks. */
  readonly deviceNodes: readonly number[];
  /** CPUs that take the interrupts of those devices. */
  readonly interruptCpus: readonly number[];
  /**
   * CPUs that take the completion interrupt of requests that `cpu` submits to those devices; empty if
   * unknown.
   */
  takersOf(cpu: number): readonly number[];
}

/**
 * The command that pins a thread to these CPUs. An io_uring SQPOLL thread can be moved since Linux 6.3
 * (io_uring/sqpoll.c).
 *
 * @example pinCommand(vm, thread, [2]) // 'virsh vcpupin web-1 0 2 --live', or 'taskset -pc 2 1234'
 */
export function pinCommand(vm: ObservedVm, thread: ObservedThread, cpus: readonly number[]): string {
  const list = formatCpuList(cpus);
  if (!isPinnedByLibvirt(vm, thread)) return `taskset -pc ${list} ${thread.tid}`;
  const domain = argumentFor(vm);
  const id = libvirtIdOf(thread.role, thread.label);
  if (id === undefined) return `virsh emulatorpin ${domain} ${list} --live`;
  return `virsh ${thread.role === 'vcpu' ? 'vcpupin' : 'iothreadpin'} ${domain} ${id} ${list} --live`;
}

/** libvirt also changes the cpuset of the thread's own cgroup, so only the VM's cgroup limits the choice. */
export function isPinnedByLibvirt(
  vm: Pick<ObservedVm, 'domain'>,
  { role, label }: Pick<ObservedThread, 'role' | 'label'>,
): boolean {
  return vm.domain !== '' && (role === 'emulator' || libvirtIdOf(role, label) !== undefined);
}

/** The CPUs to which a thread can be pinned within its current cgroup; undefined if none confines it. */
export function permitted(vm: ObservedVm, thread: ObservedThread): readonly number[] | undefined {
  return isPinnedByLibvirt(vm, thread) ? vm.cpuset : (thread.cpuset ?? vm.cpuset);
}

/** The domain as an argument of virsh. The UUID replaces a name that virsh or a shell could misread. */
export function argumentFor({ domain, uuid }: Pick<ObservedVm, 'domain' | 'uuid'>): string {
  return /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/.test(domain) ? domain : uuid;
}
