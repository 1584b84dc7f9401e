import type { Host } from '../../../probes/host.ts';
import { readTaskStatus } from '../../../probes/proc-task-status.ts';
import { unpinnedCpus } from '../../model/confinement.ts';
import type { ObservedVm, Unpinned } from '../../model/observed.ts';
import type { TopologyFacts } from '../../model/topology-facts.ts';
import type { Vm, VmThread } from '../../model/vm.ts';
import { Cpusets } from './cpusets.ts';
import type { Masks } from './masks.ts';

/** The CPUs and nodes that a VM's threads may use, and the CPUs of a thread that is not pinned. */
export interface Confinement extends Pick<ObservedVm, 'cpuset' | 'mems'> {
  readonly unpinned: Unpinned;
}

const READ_INIT_TICKS = 60;

/** How cgroups and the affinity of the host's first process confine the threads of VMs. */
export class Confinements {
  readonly #cpusets: Cpusets;
  /** The mask of the host's first process, which every process inherits. */
  #init: readonly number[] | undefined;
  #ticks = 0;

  constructor(
    private readonly host: Host,
    private readonly masks: Masks,
  ) {
    this.#cpusets = new Cpusets(host);
  }

  /** Call every second. */
  tick(vms: readonly Vm[]): void {
    if (this.#ticks++ % READ_INIT_TICKS === 0) this.#init = this.#readInit();
    this.#cpusets.tick(vms);
  }

  /** Invalidates the cpusets of a thread whose mask changed, as its cpuset may have changed too. */
  forget(vm: Vm, thread: VmThread): void {
    this.#cpusets.forget(vm, thread);
  }

  ofVm(vm: Vm, threads: readonly VmThread[], facts: TopologyFacts): Confinement {
    const { cpus, mems, isKnown } = this.#cpusets.ofVm(vm, threads);
    return { cpuset: cpus, mems, unpinned: isKnown ? unpinnedCpus(this.#init, cpus, facts) : 'unknown' };
  }

  /** The CPUs of a thread's own cgroup; undefined if unknown. */
  ofThread(thread: VmThread): readonly number[] | undefined {
    return this.#cpusets.ofThread(thread);
  }

  /** In a container with its own pid namespace, process 1 is not the host's. */
  #readInit(): readonly number[] | undefined {
    try {
      const { cpusAllowedList } = readTaskStatus(this.host, `${this.host.roots.procfs}/1`);
      return this.masks.list(cpusAllowedList);
    } catch {
      return undefined;
    }
  }
}
