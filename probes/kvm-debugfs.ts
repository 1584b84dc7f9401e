import { wholeDecimal } from './decimal.ts';
import { isGone, malformed, SourceError } from './errors.ts';
import type { Host } from './host.ts';

/** One VM's directory, `/sys/kernel/debug/kvm/<tid>-<fd>`. */
export interface KvmDebugfsDirectory {
  readonly name: string;
  /** The thread that made the VM (KVM names the directory after `current`): often, not always, the process id. */
  readonly tid: number;
  /** The kvm-vm descriptor's number in that process. */
  readonly fd: number;
}

/** What a VM's directory holds; constant for the life of the VM but for hot-plugged vCPUs. */
export interface KvmDebugfsContent {
  /** Statistics: one unsigned number each. */
  readonly statistics: readonly KvmStatisticFile[];
  /** Indexes N of `vcpuN/`. */
  readonly vcpus: readonly number[];
  /** How many entries the directory has: another number means another content. */
  readonly entries: number;
}

export interface KvmStatisticFile {
  readonly name: string;
  /** Made once, and flat: V8 would put a template together anew in every scrape. */
  readonly path: string;
  /** 0444: a value of the moment; lockdown leaves these readable, and denies the cumulative ones (0644). */
  readonly readOnly: boolean;
}

const DIRECTORY = /^(\d{1,10})-(\d{1,10})$/;
const VCPU = /^vcpu(\d{1,5})$/;
/**
 * debugfs shows bucket 0 of a histogram only; mmu_rmaps_stat and arm64's idregs are tables; arm64's stage2_* walk the
 * guest's page tables.
 */
const NOT_A_STATISTIC = /_hist$|^mmu_rmaps_stat$|^stage2_|^(idregs|resx|ipa_range)$/;
const STATISTIC_NAME = /^[a-z][a-z0-9_]{0,63}$/;

function root(host: Host): string {
  return `${host.roots.debugfs}/kvm`;
}

/**
 * The VMs that KVM knows, virt/kvm/kvm_main.c kvm_create_vm_debugfs(). The files beside the directories sum over the
 * VMs that live now and fall when one exits: this probe never reads them.
 */
export function listKvmDebugfs(host: Host): KvmDebugfsDirectory[] {
  const directories: KvmDebugfsDirectory[] = [];
  for (const name of host.entries(root(host))) {
    const match = DIRECTORY.exec(name);
    if (match !== null) directories.push({ name, tid: Number(match[1]), fd: Number(match[2]) });
  }
  return directories;
}

/** @param directory a name that {@link listKvmDebugfs} gave */
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
      statistics.push({ name, path: file, readOnly: (host.stat(file).mode & 0o222) === 0 });
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
 * One statistic of one VM, summed by KVM over its vCPUs; nanoseconds where the name ends in `_ns`. Opening takes a
 * reference on the VM: the descriptor is closed at once. A dying VM is `vanished`.
 */
export function readKvmStatistic(host: Host, { path }: KvmStatisticFile): number {
  try {
    const value = host.decimal(path);
    if (value === undefined) throw malformed('/sys/kernel/debug/kvm/<vm>/<statistic>', path);
    return value;
  } catch (error) {
    // ENOMEM is how older kernels say that the VM's last reference is gone.
    if (error instanceof SourceError && error.reason === 'ENOMEM')
      throw new SourceError('vanished', path, 'ENOMEM');
    throw error;
  }
}

/**
 * The vCPU's thread id, from `vcpuN/pid`; undefined where the vCPU has yet to run (the file says 0), and on kernels
 * before 6.1, which lack the file.
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
