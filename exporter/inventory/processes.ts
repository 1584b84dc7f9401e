import { append } from '../../kernel/maps.ts';
import { isGone, type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readExecutable } from '../../probes/proc-pid-exe.ts';
import { readDescriptors } from '../../probes/proc-pid-fd.ts';
import { listPids } from '../../probes/proc-pids.ts';
import { livesOn, PF_KTHREAD, readTaskStat, type TaskStat } from '../../probes/proc-task-stat.ts';
import { Yielder } from '../schedule/yielder.ts';
import { mayBeVmm, vmmOfProgram } from './vmm.ts';

/** A process that may be a VM: it has a kvm-vm descriptor, or it is QEMU, which can run without KVM. */
export interface Candidate {
  readonly pid: number;
  readonly stat: TaskStat;
  /** The lowest kvm-vm descriptor; undefined for QEMU without one. */
  readonly kvmFd: number | undefined;
}

export interface Scan {
  readonly candidates: readonly Candidate[];
  /** Thread ids of vhost workers that are kernel threads, by the thread that owns the device. */
  readonly vhostWorkers: ReadonlyMap<number, readonly number[]>;
  readonly problems: readonly SourceError[];
}

interface Known {
  readonly startTime: number;
  readonly comm: string;
  readonly kernel: boolean;
  /** Whether its name or program is that of a VMM. Such a process is checked in each pass until it exits. */
  isVmm: boolean;
  /** Number of passes that found no kvm-vm descriptor. */
  scans: number;
}

/** `anon_inode:kvm-vm`, virt/kvm/kvm_main.c kvm_dev_ioctl_create_vm(). */
const KVM_VM = 'anon_inode:kvm-vm';
/** Number of passes that check a new process: a VMM opens /dev/kvm soon after it starts. */
const SCANS_WHILE_YOUNG = 6;
/** Old processes that each full pass checks again, in turn: a daemon may create its first VM after days. */
const SWEEP = 256;
const VHOST_WORKER = /^vhost-(\d{1,10})$/;

/** Finds VM processes. A known process, identified by pid and start time, is not checked in every pass. */
export class ProcessScanner {
  readonly #known = new Map<number, Known>();
  #sweepFrom = 0;

  /**
   * @param full check every process for a changed identity; otherwise only new pids and `suspects`
   * @param isVm whether the inventory already contains the process; such a process is skipped
   * @param suspects thread ids that KVM reports as owners of a VM
   * @param holders processes that have a VM in KVM; undefined if only their descriptors show it
   * @throws SourceError if /proc cannot be listed
   */
  async scan(
    host: Host,
    full: boolean,
    isVm: (pid: number, startTime: number) => boolean,
    suspects: ReadonlySet<number>,
    holders?: ReadonlySet<number>,
  ): Promise<Scan> {
    const yielder = new Yielder();
    const pids = listPids(host);
    const candidates: Candidate[] = [];
    const problems: SourceError[] = [];
    const alive = new Set(pids);
    for (const pid of this.#known.keys()) if (!alive.has(pid)) this.#known.delete(pid);
    const swept = full ? this.#sweep(pids) : new Set<number>();

    for (const pid of pids) {
      if (yielder.isDue()) await yielder.yield();
      const before = this.#known.get(pid);
      if (!full && before !== undefined && !suspects.has(pid)) continue;
      try {
        const stat = readTaskStat(host, `${host.roots.procfs}/${pid}`);
        const known = this.#recognise(pid, stat);
        if (known.kernel || stat.state === 'Z' || stat.state === 'X' || isVm(pid, stat.startTime)) continue;
        const look = known.isVmm || known.scans < SCANS_WHILE_YOUNG || swept.has(pid) || suspects.has(pid);
        if (!look) continue;
        known.scans++;
        const candidate = inspect(host, pid, stat, known, holders);
        if (candidate !== undefined) candidates.push(candidate);
      } catch (error) {
        if (!isGone(error)) problems.push(sourceError(error, `${host.roots.procfs}/${pid}`));
      }
    }
    return { candidates, vhostWorkers: this.#vhostWorkers(), problems };
  }

  /** Whether a process had this name when it was last read; undefined before the first scan. */
  runs(name: string): boolean | undefined {
    if (this.#known.size === 0) return undefined;
    return [...this.#known.values()].some(({ kernel, comm }) => !kernel && comm === name);
  }

  #recognise(pid: number, stat: TaskStat): Known {
    const before = this.#known.get(pid);
    if (before?.startTime === stat.startTime && before.comm === stat.comm) return before;
    const known = {
      startTime: stat.startTime,
      comm: stat.comm,
      kernel: (stat.flags & PF_KTHREAD) !== 0,
      isVmm: mayBeVmm(stat.comm),
      scans: 0,
    };
    this.#known.set(pid, known);
    return known;
  }

  #sweep(pids: readonly number[]): Set<number> {
    const from = this.#sweepFrom < pids.length ? this.#sweepFrom : 0;
    this.#sweepFrom = from + SWEEP;
    return new Set(pids.slice(from, from + SWEEP));
  }

  #vhostWorkers(): Map<number, number[]> {
    const workers = new Map<number, number[]>();
    for (const [pid, { kernel, comm }] of this.#known) {
      const owner = kernel ? VHOST_WORKER.exec(comm)?.[1] : undefined;
      if (owner !== undefined) append(workers, Number(owner), pid);
    }
    return workers;
  }
}

function inspect(
  host: Host,
  pid: number,
  stat: TaskStat,
  known: Known,
  holders: ReadonlySet<number> | undefined,
): Candidate | undefined {
  try {
    const program = vmmOfProgram(readExecutable(host, pid) ?? '');
    if (program !== undefined) known.isVmm = true;
    // Without a VM in KVM, only QEMU can be one: under TCG, or before it has opened /dev/kvm.
    if (holders?.has(pid) === false) return program === 'qemu' ? { pid, stat, kvmFd: undefined } : undefined;
    const kvmFd = readDescriptors(host, pid).find(({ target }) => target === KVM_VM)?.fd;
    return kvmFd !== undefined || program === 'qemu' ? { pid, stat, kvmFd } : undefined;
  } catch (error) {
    // Without privileges no descriptors are readable. Report this only for a process that may be a VM. The kernel also
    // reports EACCES if the process ends while its link is read.
    const mayBeVm = known.isVmm || holders?.has(pid) === true;
    if (mayBeVm && livesOn(host, { pid, startTime: stat.startTime })) throw error;
    return undefined;
  }
}

/** Whether this is the target of a kvm-vm descriptor. */
export function isKvmVm(target: string | undefined): boolean {
  return target === KVM_VM;
}
