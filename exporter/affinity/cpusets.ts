import { parseCpuList } from '../../probes/cpu-list.ts';
import type { Host } from '../../probes/host.ts';
import {
  type CgroupPaths,
  commonCgroup,
  readCgroup,
  readCpuset,
  readEffectiveCpuset,
} from '../../probes/proc-pid-cgroup.ts';
import { readMemsAllowed } from '../../probes/proc-task-status.ts';
import type { Vm, VmThread } from '../model/vm.ts';

/** To which CPUs and nodes cgroups confine a VM. */
export interface VmCpuset {
  /** NUMA nodes from which it may have memory; undefined where the kernel does not say. */
  readonly mems: readonly number[] | undefined;
  /** Of the cgroup that holds all its threads; undefined where no cgroup confines it. */
  readonly cpus: readonly number[] | undefined;
  /** False where that cgroup cannot be followed. */
  readonly isKnown: boolean;
}

interface Reading<T> {
  readonly tick: number;
  readonly value: T;
}

/** Hardly anybody changes a cpuset; where it does change, the masks move with it, which makes its reading stale. */
const READ_AGAIN_TICKS = 60;

/** What cgroups allow VMs and their threads. */
export class Cpusets {
  #vms = new Map<string, Reading<VmCpuset>>();
  readonly #threads = new WeakMap<VmThread, Reading<readonly number[] | undefined>>();
  #tick = 0;

  constructor(private readonly host: Host) {}

  /** A second has passed. */
  tick(vms: readonly Vm[]): void {
    this.#tick++;
    if (this.#vms.size <= vms.length) return;
    const alive = new Set(vms.map(({ key }) => key));
    this.#vms = new Map([...this.#vms].filter(([key]) => alive.has(key)));
  }

  /** A mask has moved, so a cpuset may have. */
  forget(vm: Vm, thread: VmThread): void {
    this.#vms.delete(vm.key);
    this.#threads.delete(thread);
  }

  /**
   * libvirt gives each vCPU a cgroup of its own below the VM's, and what that one lacks is a pin: so the one above all of
   * its threads tells what the VM may use. A vhost worker that is a kernel thread may be elsewhere.
   */
  ofVm({ key, pid }: Vm, threads: readonly VmThread[]): VmCpuset {
    const known = this.#vms.get(key);
    if (known !== undefined && this.#tick - known.tick < READ_AGAIN_TICKS) return known.value;
    const value = this.#read(pid, threads);
    this.#vms.set(key, { tick: this.#tick, value });
    return value;
  }

  /** The CPUs of a thread's own cgroup; undefined where nothing tells. */
  ofThread(thread: VmThread): readonly number[] | undefined {
    const known = this.#threads.get(thread);
    if (known !== undefined && this.#tick - known.tick < READ_AGAIN_TICKS) return known.value;
    const value = attempt(() => readEffectiveCpuset(this.host, thread.path));
    this.#threads.set(thread, { tick: this.#tick, value });
    return value;
  }

  #read(pid: number, threads: readonly VmThread[]): VmCpuset {
    const process = `${this.host.roots.procfs}/${pid}`;
    const own = threads.map(({ path }) => path).filter((path) => path.includes('/task/'));
    const paths = [process, ...own].flatMap(
      (folder): CgroupPaths | [] => attempt(() => readCgroup(this.host, folder)) ?? [],
    );
    const mems = attempt(() => parseCpuList(readMemsAllowed(this.host, process)));
    const common = commonCgroup(paths);
    if (common.isHidden) return { mems, cpus: undefined, isKnown: false };
    return { mems, cpus: attempt(() => readCpuset(this.host, common)), isKnown: true };
  }
}

/** A cgroup goes with its last thread, and what cannot be read confines nobody that is known. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
