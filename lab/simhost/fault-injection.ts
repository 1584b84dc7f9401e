import type { SimDisk } from './disk.ts';
import { SimThread } from './thread.ts';
import type { Topology } from './topology.ts';
import type { ReasonName } from './vcpu.ts';
import { type Faults, MIGRATION, type SimVm } from './vm.ts';

export const DRIFT_KINDS = ['widened', 'shared_cpu', 'other_node'] as const;
export type DriftKind = (typeof DRIFT_KINDS)[number];

/** Default share of a vCPU's time that KVM spends on failed halt polls. */
const WASTE = 0.4;
const FIRST_HOG = 900_000;
/** Its id, counted from the process. */
const MIGRATION_TID = 900;

/** The part of a host that faults are injected into. */
interface Target {
  readonly topology: Topology;
  readonly disks: readonly SimDisk[];
  readonly allCpus: readonly number[];
  vm(name: string): SimVm;
}

/** Fault injection into the VMs and disks of a host. */
export class FaultInjection {
  /** By VM: threads of other programs on the CPUs of its vCPUs. */
  readonly #hogs = new Map<string, SimThread[]>();

  constructor(private readonly host: Target) {}

  get hogThreads(): readonly SimThread[] {
    return [...this.#hogs.values()].flat();
  }

  /** @param perSecond undefined ends the storm */
  exitStorm(name: string, perSecond: number | undefined, reason: ReasonName = 'IO_INSTRUCTION'): void {
    const { faults } = this.host.vm(name);
    if (perSecond === undefined) delete faults.storm;
    else faults.storm = { perSecond, reason };
  }

  /** @param factor on the time of each exit except HLT; 1 ends it */
  slowExits(name: string, factor: number): void {
    this.#inject(name, { exitSlowness: factor });
  }

  /** The guest puts all requests into the first queue of a disk, as after a driver update. */
  useOneQueue(name: string, on: boolean): void {
    this.#inject(name, { usesOneQueue: on });
  }

  stallIo(name: string, on: boolean): void {
    this.#inject(name, { isStalled: on });
  }

  stallDisk(name: string, on: boolean): void {
    this.#disk(name).isStalled = on;
  }

  /** @param factor on the time of all its operations; 1 ends it */
  slowDisk(name: string, factor: number): void {
    this.#disk(name).slowness = factor;
  }

  #disk(name: string): SimDisk {
    const disk = this.host.disks.find(({ spec }) => spec.name === name);
    if (disk === undefined) throw new Error(`no disk ${name}`);
    return disk;
  }

  /** @param share of each vCPU's time; true for the default, false ends it */
  wasteHaltPolls(name: string, share: boolean | number): void {
    const wastesHaltPolls = typeof share === 'number' ? share : share ? WASTE : 0;
    this.#inject(name, { wastesHaltPolls });
  }

  /**
   * The threads keep polling, but the guest kicks and gets interrupts as without polling, as after a driver
   * update.
   */
  losePolling(name: string, on: boolean): void {
    this.#inject(name, { pollingLost: on });
  }

  /**
   * Another program spins on the CPUs of this many vCPUs of a pinned VM.
   * @param vcpus 0 ends it
   */
  hog(name: string, vcpus: number): void {
    const vm = this.host.vm(name);
    this.#hogs.delete(name);
    if (vcpus > 0)
      this.#hogs.set(
        name,
        vm.vcpus.slice(0, vcpus).map((vcpu) => hogOn(vm.id, vcpu.thread)),
      );
  }

  /**
   * A CPU quota for the VM's cgroup.
   * @param cpus undefined removes it
   */
  quota(name: string, cpus: number | undefined): void {
    this.host.vm(name).cgroup.quota = cpus;
  }

  /**
   * A CPU quota for the cgroup that libvirt makes for the VM's first IOThread.
   * @param cpus undefined removes it
   */
  quotaOfIoThread(name: string, cpus: number | undefined): void {
    const vm = this.host.vm(name);
    if (vm.spec.libvirt !== true) throw new Error(`libvirt makes no cgroups for the threads of ${name}`);
    vm.ioCgroup.quota = cpus;
  }

  /** KVM stops using APICv for a VM that has it. */
  loseApicv(name: string, on: boolean): void {
    this.#inject(name, { apicvLost: on });
  }

  /** @param share of their frequency at which the VM's CPUs run; 1 ends it */
  slowCpus(name: string, share: number): void {
    this.#inject(name, { frequency: share });
  }

  /** @param share of the time of its vCPUs' CPUs that interrupts of the host take; 0 ends it */
  interrupt(name: string, share: number): void {
    this.#inject(name, { interrupts: share });
  }

  /** The host swaps the VM's memory. @param share of the time that the guest waits for it; 0 ends it */
  swap(name: string, share: number): void {
    this.#inject(name, { swaps: share });
  }

  /** QEMU sends the VM to another host, with a thread of its own. */
  migrate(name: string, on: boolean): void {
    this.#inject(name, { isMigrating: on });
    const vm = this.host.vm(name);
    const others = vm.threads.filter(({ spec }) => spec.comm !== MIGRATION);
    vm.ended = vm.threads.filter((thread) => !others.includes(thread));
    vm.threads = on ? [...others, migrationOf(vm)] : others;
  }

  /** The monitor accepts connections but sends nothing. */
  hangMonitor(name: string, on: boolean): void {
    this.#inject(name, { monitorHangs: on });
  }

  #inject(name: string, faults: Faults): void {
    Object.assign(this.host.vm(name).faults, faults);
  }

  /**
   * Moves pinned threads off their expected CPUs, as an operator or another program would. The expected
   * affinity stays.
   */
  drift(name: string, kind: DriftKind): void {
    const vm = this.host.vm(name);
    const [io] = vm.ioThreads;
    const [vcpu] = vm.vcpus;
    if (io === undefined || vcpu === undefined) return;
    const other = (vm.node + 1) % this.host.topology.nodes.length;
    if (kind === 'widened') vcpu.thread.allowed = this.host.allCpus;
    else if (kind === 'shared_cpu') io.allowed = vcpu.thread.allowed;
    else io.allowed = [this.host.topology.nodes[other]?.at(-1) ?? 0];
  }

  /** Restores the expected affinity of all threads. */
  restore(name: string): void {
    const vm = this.host.vm(name);
    for (const thread of vm.threads) thread.allowed = vm.pins.get(thread.tid) ?? this.host.allCpus;
  }
}

function hogOn(vm: number, { allowed, spec }: SimThread): SimThread {
  const tid = FIRST_HOG + vm * 100 + spec.index;
  const hog = new SimThread(tid, { role: 'other', comm: 'hog', index: 0 }, 0, allowed, allowed[0] ?? 0);
  hog.demand = 1;
  return hog;
}

function migrationOf({ pid, threads: [main] }: SimVm): SimThread {
  const { allowed, cpu, startTicks } = main ?? { allowed: [0], cpu: 0, startTicks: 0 };
  const spec = { role: 'other', comm: MIGRATION, index: 0 } as const;
  return new SimThread(pid + MIGRATION_TID, spec, startTicks + MIGRATION_TID, allowed, cpu);
}
