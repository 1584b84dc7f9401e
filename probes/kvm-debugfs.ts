import { wholeDecimal } from '../kernel/decimal.ts';
import { isGone, malformed, SourceError } from './errors.ts';
import type { Host } from './host.ts';

/** The debugfs directory of one VM, `/sys/kernel/debug/kvm/<tid>-<fd>`. */
export interface KvmDebugfsDirectory {
  readonly name: string;
  /** The thread that created the VM (KVM uses `current`). Often, but not always, the process id. */
  readonly tid: number;
  /** Number of the kvm-vm file descriptor in that process. */
  readonly fd: number;
}

/** Content of a VM's directory. Constant for the life of the VM, except for hot-plugged vCPUs. */
export interface KvmDebugfsContent {
  /** Statistics files, each with one unsigned number. */
  readonly statistics: readonly KvmStatisticFile[];
  /** Indexes N of `vcpuN/`. */
  readonly vcpus: readonly number[];
  /** Number of entries in the directory. If it changes, the content has changed. */
  readonly entries: number;
}

export interface KvmStatisticFile {
  readonly name: string;
  /** Built once as a flat string: otherwise V8 would concatenate the template in every scrape. */
  readonly path: string;
  /** Mode 0444: an instantaneous value. Lockdown allows these and denies the cumulative ones (0644). */
  readonly readOnly: boolean;
}

const DIRECTORY = /^(\d{1,10})-(\d{1,10})$/;
const VCPU = /^vcpu(\d{1,5})$/;
/**
 * Not statistics: debugfs shows only bucket 0 of a histogram; mmu_rmaps_stat, arm64's idregs and POWER's xive and xics are
 * tables; arm64's stage2_* walk the guest's page tables.
 */
const NOT_A_STATISTIC = /_hist$|^mmu_rmaps_stat$|^stage2_|^(idregs|resx|ipa_range|xive|xics)$/;
/** Every user may read a statistic. POWER's htab and radix, which walk page tables, are for root. */
const READABLE = 0o004;
const STATISTIC_NAME = /^[a-z][a-z0-9_]{0,63}$/;

function root(host: Host): string {
  return `${host.roots.debugfs}/kvm`;
}

/**
 * Lists the VMs in KVM's debugfs, virt/kvm/kvm_main.c kvm_create_vm_debugfs(). The files next to the
 * directories are sums over the running VMs and decrease when one exits, so this probe never reads them.
 */
export function listKvmDebugfs(host: Host): KvmDebugfsDirectory[] {
  const directories: KvmDebugfsDirectory[] = [];
  for (const name of host.entries(root(host))) {
    const match = DIRECTORY.exec(name);
    if (match !== null) directories.push({ name, tid: Number(match[1]), fd: Number(match[2]) });
  }
  return directories;
}

/** @param directory a name from {@link listKvmDebugfs} */
export function readKvmDebugfsContent(host: Host, directory: string): KvmDebugfsContent {
  const statistics: KvmStatisticFile[] = [];
  const vcpus: number[] = [];
  const path = `${root(host)}/${directory}`;
  const entries = host.entries(path);
  for (const name of entries) {
    const vcpu = VCPU.exec(name);
    if (vcpu !== null) vcpus.push(Number(vcpu[1]));
    else if (STATISTIC_NAME.test(name) && !NOT_A_STATISTIC.test(name)) {
      const file = [path, name].join('/');
      const { mode } = host.stat(file);
      if ((mode & READABLE) !== 0) statistics.push({ name, path: file, readOnly: (mode & 0o222) === 0 });
    }
  }
  statistics.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { statistics, vcpus: vcpus.sort((a, b) => a - b), entries: entries.length };
}

/**
 * @throws SourceError malformed
 * @example parseKvmStatistic('150686\n') // 150686
 */
export function parseKvmStatistic(text: string): number {
  const value = wholeDecimal(text);
  if (value === undefined) throw malformed('/sys/kernel/debug/kvm/<vm>/<statistic>', text);
  return value;
}

/**
 * Reads one statistic of one VM, which KVM sums over its vCPUs; nanoseconds if the name ends in `_ns`.
 * Opening the file takes a reference on the VM, so the descriptor is closed at once. An exiting VM is
 * `vanished`.
 */
export function readKvmStatistic(host: Host, { path }: KvmStatisticFile): number {
  try {
    const value = host.decimal(path);
    if (value === undefined) throw malformed('/sys/kernel/debug/kvm/<vm>/<statistic>', path);
    return value;
  } catch (error) {
    // Older kernels return ENOMEM if the VM's last reference is gone.
    if (error instanceof SourceError && error.code === 'ENOMEM')
      throw new SourceError('vanished', path, 'ENOMEM', error.code);
    throw error;
  }
}

/**
 * The vCPU's thread id from `vcpuN/pid`. Undefined if the vCPU has not run yet (the file contains 0), and on
 * kernels before 6.1, which lack the file.
 */
export function readKvmVcpuThread(host: Host, directory: string, vcpu: number): number | undefined {
  try {
    const tid = parseKvmStatistic(host.attribute(`${root(host)}/${directory}/vcpu${vcpu}/pid`));
    return tid === 0 ? undefined : tid;
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}
