import type { NumaPages } from '../../probes/proc-numa-maps.ts';
import type { Expectation } from './affinity.ts';
import { cpuListOf, libvirtIdOf } from './affinity.ts';
import type { Role } from './roles.ts';

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
}

/** Roles that move a VM's data; the emulator does, too, where a VM has none of these. */
export const IO_ROLES: ReadonlySet<Role> = new Set<Role>(['iothread', 'vhost', 'sqpoll']);

/**
 * The command that gives a thread these CPUs. A poller of io_uring can be moved since Linux 6.3 (io_uring/sqpoll.c).
 *
 * @example commandFor(vm, thread, [2]) // 'virsh vcpupin web-1 0 2 --live', or 'taskset -pc 2 1234'
 */
export function commandFor(vm: ObservedVm, thread: ObservedThread, cpus: readonly number[]): string {
  const list = cpuListOf(cpus);
  if (vm.domain !== '') {
    const domain = argumentFor(vm);
    const id = libvirtIdOf(thread.role, thread.label);
    if (thread.role === 'emulator') return `virsh emulatorpin ${domain} ${list} --live`;
    if (id !== undefined) {
      return `virsh ${thread.role === 'vcpu' ? 'vcpupin' : 'iothreadpin'} ${domain} ${id} ${list} --live`;
    }
  }
  const command = `taskset -pc ${list} ${thread.tid}`;
  const { cpuset } = thread;
  // The kernel would refuse, or cut the mask without a word.
  const isConfined = cpuset !== undefined && cpus.some((cpu) => !cpuset.includes(cpu));
  return isConfined ? `${command} # once cpuset.cpus of its cgroup has ${list}` : command;
}

/** A domain for virsh. A name that it or a shell could misread is not repeated: the uuid says the same. */
export function argumentFor({ domain, uuid }: Pick<ObservedVm, 'domain' | 'uuid'>): string {
  return /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/.test(domain) ? domain : uuid;
}
