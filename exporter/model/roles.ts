import { IO_PATH_LABELS, IO_THREAD_LABELS } from '../metrics/roles.ts';
import type { Vmm } from './vmm.ts';

/**
 * The role of a VMM's thread.
 *
 * `unknown` if no source names the thread: QEMU without `debug-threads=on` gives all its threads one name.
 */
export type Role =
  | 'vcpu'
  | 'iothread'
  | 'vhost'
  | 'sqpoll'
  | 'io_worker'
  | 'worker'
  | 'emulator'
  | 'monitor'
  | 'other'
  | 'unknown';

/**
 * Roles with few, long-lived threads: each thread has its own series. The threads of the other roles are
 * summed.
 */
export const TRACKED_ROLES: ReadonlySet<Role> = new Set<Role>([...IO_PATH_LABELS, 'emulator', 'monitor']);

/** Roles that do a VM's I/O. In a VM without these threads the emulator does it. */
export const IO_ROLES: ReadonlySet<Role> = new Set<Role>([...IO_THREAD_LABELS, 'io_worker', 'worker']);

/** The long-lived ones. They can be pinned, which workers cannot. */
export const IO_THREAD_ROLES: ReadonlySet<Role> = new Set<Role>(IO_THREAD_LABELS);

/** Long-lived threads on the I/O path: the sampler follows them from CPU to CPU. */
export const SAMPLED_ROLES: ReadonlySet<Role> = new Set<Role>(IO_PATH_LABELS);

export interface ThreadRole {
  readonly role: Role;
  /** The vCPU's index or the IOThread's id; undefined if the role has none or it is unknown. */
  readonly id: string | undefined;
}

interface Name {
  readonly pattern: RegExp;
  readonly role: Role;
}

/**
 * Threads that the kernel creates in a VMM's process: io_uring/sqpoll.c, io_uring/io-wq.c,
 * drivers/vhost/vhost.c.
 */
const OF_KERNEL: readonly Name[] = [
  { pattern: /^iou-sqp-\d+$/, role: 'sqpoll' },
  { pattern: /^iou-wrk-\d+$/, role: 'io_worker' },
  { pattern: /^vhost-\d+$/, role: 'vhost' },
];

/**
 * Thread names of QEMU with debug-threads=on, for any accelerator. StratoVirt (`other`) uses some of them.
 */
const OF_QEMU: readonly Name[] = [
  { pattern: /^IO mon_iothread$/, role: 'monitor' },
  { pattern: /^IO (.+)$/s, role: 'iothread' },
  // util/thread-pool.c
  { pattern: /^worker$/, role: 'worker' },
];
// accel/kvm/kvm-accel-ops.c
const OF_KVM: Name = { pattern: /^CPU (\d{1,5})\/KVM$/, role: 'vcpu' };
const OF_TCG: readonly Name[] = [
  // accel/tcg/tcg-accel-ops-mttcg.c
  { pattern: /^CPU (\d{1,5})\/TCG$/, role: 'vcpu' },
  // Single-threaded TCG runs all vCPUs in one thread.
  { pattern: /^(ALL) CPUs\/TCG$/, role: 'vcpu' },
];
const OF_OTHERS: Readonly<Record<Exclude<Vmm, 'qemu' | 'other'>, readonly Name[]>> = {
  'cloud-hypervisor': [
    { pattern: /^vcpu(\d{1,5})$/, role: 'vcpu' },
    { pattern: /^(_disk\d+_q\d+)$/, role: 'iothread' },
  ],
  firecracker: [{ pattern: /^fc_vcpu (\d{1,5})$/, role: 'vcpu' }],
  // Without a sandbox, devices/src/virtio/block/asynchronous.rs runs in this process.
  crosvm: [
    { pattern: /^crosvm_vcpu(\d{1,5})$/, role: 'vcpu' },
    { pattern: /^(virtio_blk)$/, role: 'iothread' },
  ],
  // builtin-run.c, virtio/blk.c
  kvmtool: [
    { pattern: /^kvm-vcpu-(\d{1,5})$/, role: 'vcpu' },
    { pattern: /^(virtio-blk-io)$/, role: 'iothread' },
  ],
};
/** Dragonball, in Kata's shim: dragonball/src/vcpu/vcpu_impl.rs; VirtualBox on KVM; libkrun: src/devices/src/virtio/block/worker.rs. */
const OF_UNKNOWN: readonly Name[] = [
  { pattern: /^db_vcpu(\d{1,5})$/, role: 'vcpu' },
  { pattern: /^EMT-(\d{1,5})$/, role: 'vcpu' },
  { pattern: /^(block worker)$/, role: 'iothread' },
];

const NAMES: Readonly<Record<Vmm, readonly Name[]>> = {
  ...OF_OTHERS,
  qemu: [OF_KVM, ...OF_QEMU],
  // An unknown VMM may use the names of any other.
  other: [OF_KVM, ...OF_UNKNOWN, ...OF_QEMU, ...Object.values(OF_OTHERS).flat()],
};
const NAMES_UNDER_TCG = [...OF_TCG, ...OF_QEMU];

/** The facts that decide a thread's role. */
export interface ThreadFacts {
  /** The thread's name. */
  readonly comm: string;
  /** Whether it is the process's first thread. */
  readonly isMain: boolean;
  /** The name of the first thread, which a thread has until it gets its own. */
  readonly mainComm: string;
  /** The vCPU's index, if KVM, libvirt or QEMU identifies the thread as a vCPU. */
  readonly vcpu: number | undefined;
  /** KVM's id of the vCPU that the thread runs. It may be the APIC id, so it is used only if nothing else gives the index. */
  readonly kvmVcpu?: number | undefined;
}

/** The facts of the thread's VM. */
export interface VmFacts {
  readonly vmm: Vmm;
  readonly accel: 'kvm' | 'tcg';
  readonly diskIds: readonly string[];
}

/** The role of one thread. The first thread is the emulator, whatever its name: `-name process=` sets it. */
export function roleOf({ comm, isMain, mainComm, vcpu, kvmVcpu }: ThreadFacts, vm: VmFacts): ThreadRole {
  if (vcpu !== undefined) return { role: 'vcpu', id: String(vcpu) };
  const named = isMain ? undefined : roleByName(comm, vm);
  if (kvmVcpu !== undefined) return named?.role === 'vcpu' ? named : { role: 'vcpu', id: String(kvmVcpu) };
  if (isMain) return { role: 'emulator', id: undefined };
  if (named !== undefined) return named;
  if (isQueueOf(vm.diskIds, comm)) return { role: 'iothread', id: comm };
  return { role: comm === mainComm ? 'unknown' : 'other', id: undefined };
}

function roleByName(comm: string, vm: VmFacts): ThreadRole | undefined {
  const names = vm.accel === 'tcg' ? NAMES_UNDER_TCG : NAMES[vm.vmm];
  for (const { pattern, role } of [...OF_KERNEL, ...names]) {
    const match = pattern.exec(comm);
    if (match !== null) return { role, id: match[1] };
  }
  return undefined;
}

const COMM_BYTES = 15;

/**
 * Cloud Hypervisor names a queue's thread `<id of the disk>_q<N>`. Rust truncates a name that is too long.
 */
function isQueueOf(diskIds: readonly string[], comm: string): boolean {
  const id = /^(.+)_q\d{1,5}$/s.exec(comm)?.[1];
  if (id !== undefined && diskIds.includes(id)) return true;
  return Buffer.byteLength(comm) === COMM_BYTES && diskIds.some((each) => `${each}_q`.startsWith(comm));
}

/** `vcpu0`, `iothread:io0`, `vhost0`, `emulator`: stable across restarts of the VM, never a thread id. */
export function threadLabel({ role, id }: ThreadRole, index: number): string {
  if (role === 'vcpu') return `vcpu${id === 'ALL' ? 's' : (id ?? index)}`;
  if (role === 'iothread') return `iothread:${id ?? index}`;
  if (role === 'vhost' || role === 'sqpoll') return `${role}${index}`;
  return role;
}
