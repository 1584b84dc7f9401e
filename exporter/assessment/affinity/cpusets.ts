import { basename } from 'node:path';
import { parseCpuList } from '../../../probes/cpu-list.ts';
import { attempt } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';
import {
  type CgroupPaths,
  commonCgroup,
  readCgroup,
  readCpuset,
  readEffectiveCpuset,
} from '../../../probes/proc-pid-cgroup.ts';
import { readMemsAllowed } from '../../../probes/proc-task-status.ts';
import { isPartOfVm } from '../../model/cgroups.ts';
import type { Vm, VmThread } from '../../model/vm.ts';

/** The CPUs and nodes to which cgroups confine a VM. */
export interface VmCpuset {
  /** NUMA nodes from which the VM may get memory; undefined if the kernel does not report them. */
  readonly mems: readonly number[] | undefined;
  /** CPUs of the cgroup that holds all its threads; undefined if no cgroup confines the VM. */
  readonly cpus: readonly number[] | undefined;
  /** False if that cgroup is hidden. */
  readonly isKnown: boolean;
}

interface Reading<T> {
  readonly tick: number;
  readonly value: T;
}

/**
 * Five minutes. Cpusets rarely change, and reading a VM's cpuset opens a file for each thread. A cpuset that changes
 * also changes masks, and a changed mask invalidates the cached cpuset.
 */
const READ_AGAIN_TICKS = 300;

/** Caches the cpusets of VMs and their threads. */
export class Cpusets {
  #vms = new Map<string, Reading<VmCpuset>>();
  readonly #threads = new WeakMap<VmThread, Reading<readonly number[] | undefined>>();
  #tick = 0;

  constructor(private readonly host: Host) {}

  /** Call every second. */
  tick(vms: readonly Vm[]): void {
    this.#tick++;
    if (this.#vms.size <= vms.length) return;
    const alive = new Set(vms.map(({ key }) => key));
    this.#vms = new Map([...this.#vms].filter(([key]) => alive.has(key)));
  }

  /** Invalidates the cpusets of a thread whose mask changed, as its cpuset may have changed too. */
  forget(vm: Vm, thread: VmThread): void {
    this.#vms.delete(vm.key);
    this.#threads.delete(thread);
  }

  /**
   * The cpuset of the VM's cgroup. libvirt gives each vCPU a cgroup of its own below the VM's, and pins the
   * vCPU with it. So the VM's limits are those of the common cgroup of all its threads. A vhost worker that
   * is a kernel thread may be in another cgroup and is left out. If they have only the root in common, those of the
   * vCPUs count: Kata keeps only them in the pod's cgroup.
   */
  ofVm({ key, pid }: Vm, threads: readonly VmThread[]): VmCpuset {
    const known = this.#vms.get(key);
    if (known !== undefined && this.#tick - known.tick < READ_AGAIN_TICKS) return known.value;
    const value = this.#read(pid, threads);
    this.#vms.set(key, { tick: this.#tick, value });
    return value;
  }

  /** The CPUs of a thread's own cgroup; undefined if unknown. */
  ofThread(thread: VmThread): readonly number[] | undefined {
    const known = this.#threads.get(thread);
    if (known !== undefined && this.#tick - known.tick < READ_AGAIN_TICKS) return known.value;
    // A cgroup disappears with its last thread, and a cpuset that cannot be read counts as no limit.
    const value = attempt(() => readEffectiveCpuset(this.host, thread.path));
    this.#threads.set(thread, { tick: this.#tick, value });
    return value;
  }

  #read(pid: number, threads: readonly VmThread[]): VmCpuset {
    const process = `${this.host.roots.procfs}/${pid}`;
    const own = threads.filter(({ path }) => path.includes('/task/'));
    const read = own.map(({ role, path }) => ({ role, paths: attempt(() => readCgroup(this.host, path)) }));
    const pathsOf = (some: typeof read): CgroupPaths[] => some.flatMap(({ paths }) => paths ?? []);
    const mems = attempt(() => parseCpuList(readMemsAllowed(this.host, process)));
    const main = attempt(() => readCgroup(this.host, process));
    const all = commonCgroup([...(main === undefined ? [] : [main]), ...pathsOf(read)]);
    if (all.isHidden) return { mems, cpus: undefined, isKnown: false };
    const vcpus = read.filter(({ role }) => role === 'vcpu');
    const ofVcpus = pathOf(all) === '/' ? commonCgroup(pathsOf(vcpus)) : all;
    const common = isPartOfVm(basename(pathOf(ofVcpus))) ? all : ofVcpus;
    return { mems, cpus: attempt(() => readCpuset(this.host, common)), isKnown: true };
  }
}

/** In the hierarchy that has the cpusets. */
function pathOf({ cpuset, unified }: CgroupPaths): string {
  return cpuset ?? unified ?? '/';
}
