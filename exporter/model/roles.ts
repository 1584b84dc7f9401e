/**
 * What a thread of a VMM does.
 *
 * `unknown` is said where nothing tells: QEMU without `debug-threads=on` names all its threads alike.
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

/** Roles whose threads are few and lasting: each has series of its own. The threads of the others are summed. */
export const TRACKED_ROLES: ReadonlySet<Role> = new Set<Role>([
  'vcpu',
  'iothread',
  'vhost',
  'sqpoll',
  'emulator',
  'monitor',
]);

/** Roles on the I/O path: the sampler follows them from CPU to CPU. */
export const SAMPLED_ROLES: ReadonlySet<Role> = new Set<Role>(['vcpu', 'iothread', 'vhost', 'sqpoll']);

export interface ThreadRole {
  readonly role: Role;
  /** The vCPU's index or the IOThread's id; undefined where the role has none, or none is known. */
  readonly id: string | undefined;
}

/** Thread names by which VMMs tell what a thread does; the first that matches holds. */
const NAMES: readonly { readonly pattern: RegExp; readonly role: Role }[] = [
  // QEMU with debug-threads=on: accel/kvm/kvm-accel-ops.c, accel/tcg/tcg-accel-ops-mttcg.c
  { pattern: /^CPU (\d{1,5})\/\w+$/, role: 'vcpu' },
  // Single-threaded TCG runs all vCPUs in one thread.
  { pattern: /^(ALL) CPUs\/TCG$/, role: 'vcpu' },
  { pattern: /^IO mon_iothread$/, role: 'monitor' },
  { pattern: /^IO (.+)$/s, role: 'iothread' },
  // io_uring/sqpoll.c and io-wq.c
  { pattern: /^iou-sqp-\d+$/, role: 'sqpoll' },
  { pattern: /^iou-wrk-\d+$/, role: 'io_worker' },
  // drivers/vhost/vhost.c
  { pattern: /^vhost-\d+$/, role: 'vhost' },
  // QEMU's thread pool: util/thread-pool.c
  { pattern: /^worker$/, role: 'worker' },
  // Cloud Hypervisor, Firecracker, crosvm, kvmtool
  { pattern: /^(?:vcpu|fc_vcpu |crosvm_vcpu|kvm-vcpu-)(\d{1,5})$/, role: 'vcpu' },
  { pattern: /^(_disk\d+_q\d+|virtio-blk-io)$/, role: 'iothread' },
];

/**
 * The role of one thread.
 *
 * @param comm the thread's name
 * @param mainComm the name of the process's first thread
 * @param isMain whether it is that first thread
 * @param vcpu the vCPU's index, where KVM or libvirt names the thread
 */
export function roleOf(
  comm: string,
  mainComm: string,
  isMain: boolean,
  vcpu: number | undefined,
): ThreadRole {
  if (vcpu !== undefined) return { role: 'vcpu', id: String(vcpu) };
  for (const { pattern, role } of NAMES) {
    const match = pattern.exec(comm);
    if (match !== null) return { role, id: match[1] };
  }
  if (isMain) return { role: 'emulator', id: undefined };
  return { role: comm === mainComm ? 'unknown' : 'other', id: undefined };
}

/** `vcpu0`, `iothread:io0`, `vhost0`, `emulator`: stable over restarts of the VM, never a thread id. */
export function threadLabel({ role, id }: ThreadRole, index: number): string {
  if (role === 'vcpu') return `vcpu${id === 'ALL' ? 's' : (id ?? index)}`;
  if (role === 'iothread') return `iothread:${id ?? index}`;
  if (role === 'vhost' || role === 'sqpoll') return `${role}${index}`;
  return role;
}

/**
 * The full id of an IOThread whose name the kernel cut to 15 bytes: the ids on the command line that begin like it.
 *
 * @param seen what follows `IO ` in the thread's name
 * @param rank how many older threads have the same cut name: IOThreads are made in the order of the command line
 */
export function fullIothreadId(seen: string, rank: number, ids: readonly string[]): string {
  const candidates = ids.filter((id) => `IO ${id}`.slice(0, 15) === `IO ${seen}`);
  return candidates[rank] ?? seen;
}
