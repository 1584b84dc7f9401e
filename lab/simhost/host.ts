import { MIB } from '../../kernel/units.ts';
import type { Configuration } from './calibration.ts';
import { SimPressure } from './cgroup.ts';
import { CpuTimes } from './cpu-times.ts';
import { type DiskSpec, SimDisk, spreadQueues } from './disk.ts';
import { FaultInjection } from './fault-injection.ts';
import type { HostFacts } from './files/facts.ts';
import { HostTree } from './host-tree.ts';
import { type Plan, planIo, runIo, wantedIops } from './io-path.ts';
import { CpuAllocator } from './pins.ts';
import { Random } from './random.ts';
import { SchedEvents } from './sched-events.ts';
import { schedule } from './scheduler.ts';
import { type Topology, topology } from './topology.ts';
import type { TraceSink } from './trace/sink.ts';
import type { Tracefs } from './trace/tracefs.ts';
import { ioThreadCount, type SimVm, type VmSpec } from './vm.ts';
import { makeVm } from './vm-factory.ts';

export interface HostOptions {
  readonly seed: number;
  readonly cpus?: number;
  readonly nodes?: number;
  readonly threadsPerCore?: number;
  /** One NVMe on node 0 by default. */
  readonly disks?: readonly DiskSpec[];
  readonly vms?: readonly VmSpec[];
  /** Unix time in seconds at the start of the simulation. */
  readonly startTime?: number;
  /** Uptime in seconds at the start of the simulation. */
  readonly uptime?: number;
  /** Whether the kernel has pressure stall information; it does not by default. */
  readonly psi?: boolean;
  /** Whether the CPUs have cpufreq and cpuidle; they do not by default, as in a VM. */
  readonly cpufreq?: boolean;
  /** More module parameters, or other values: `kvm.halt_poll_ns`. */
  readonly parameters?: Readonly<Record<string, string>>;
}

/** The parameters that the exporter reads: Debian's values, as captured, and Intel's. */
const PARAMETERS: Readonly<Record<string, string>> = {
  'kvm.halt_poll_ns': '200000',
  'kvm.halt_poll_ns_grow': '2',
  'kvm.halt_poll_ns_grow_start': '10000',
  'kvm.halt_poll_ns_shrink': '0',
  'kvm_intel.ept': 'Y',
  'kvm_intel.enable_apicv': 'N',
  'kvm_intel.ple_gap': '128',
  'nvme.poll_queues': '0',
  'nvme.io_queue_depth': '1024',
  'nvme_core.multipath': 'N',
  'vhost.max_iotlb_entries': '2048',
  'vhost_net.experimental_zcopytx': '0',
};
const DEFAULT_DISKS: readonly DiskSpec[] = [{ name: 'nvme0n1', kind: 'nvme', node: 0, hardwareQueues: 32 }];
const FIRST_PID = 1_000_000;
/** Range of process ids per VM: its threads take ids from this range. */
const PIDS_PER_VM = 1000;
const NOBODY: TraceSink = { wants: () => false, count: () => undefined, interval: () => undefined };

/**
 * A KVM host that runs in virtual time. It reads no clock and uses no random source other than its own seed.
 */
export class SimulatedHost {
  readonly faults = new FaultInjection(this);
  readonly topology: Topology;
  readonly disks: readonly SimDisk[];
  /** Seconds since the simulation began. */
  time = 0;
  lockdown: HostFacts['lockdown'] = 'none';
  /** Whether the tree has the rows of BPF iterators, beside the files that they replace. */
  hasBpf = false;
  readonly #random: Random;
  readonly #pins: CpuAllocator;
  readonly #times: CpuTimes;
  readonly #pressure = new SimPressure();
  readonly #sched = new SchedEvents();
  readonly #vms = new Map<string, SimVm>();
  #born = 0;
  #tree: HostTree | undefined;

  constructor(readonly options: HostOptions) {
    this.topology = topology(options.cpus, options.nodes, options.threadsPerCore);
    const cpus = this.topology.cpus.length;
    this.#random = new Random(options.seed);
    this.#pins = new CpuAllocator(this.topology);
    this.#times = new CpuTimes(cpus);
    this.disks = (options.disks ?? DEFAULT_DISKS).map(
      (spec, i) =>
        new SimDisk(spec, i, spreadQueues(this.topology.nodes, Math.min(cpus, spec.hardwareQueues))),
    );
    for (const spec of options.vms ?? []) this.boot(spec);
  }

  /** In order of start. */
  get vms(): readonly SimVm[] {
    return [...this.#vms.values()];
  }

  /** @throws Error if no VM has this name */
  vm(name: string): SimVm {
    const vm = this.#vms.get(name);
    if (vm === undefined) throw new Error(`no VM ${name}`);
    return vm;
  }

  /**
   * Advances the virtual time. The model is valid for steps of up to a second.
   * @param writes false if nobody reads before the next step; the files then stay unchanged
   */
  step(dt: number, writes = true): void {
    // Execute the commands that clients wrote into tracefs.
    if (writes) this.#tree?.tracefs.poll();
    const sink = this.#tree?.tracefs ?? NOBODY;
    this.time += dt;
    const vms = this.vms;
    const wishes = vms.map((vm) => wantedIops(vm, this.topology));
    this.#askDisks(vms, wishes);
    const plans = vms.map((vm, i): Plan => planIo(vm, wishes[i] ?? 0));
    const threads = [...vms.flatMap((vm) => vm.threads), ...this.faults.hogThreads];
    schedule(threads, this.topology.cpus.length, this.#random);
    for (const vm of vms) {
      vm.ioCgroup.step(vm.ioThreads.slice(0, 1), dt);
      interrupt(vm);
      swap(vm, dt);
    }
    const waits = vms.map((vm) => vm.cgroup.step(vm.threads, dt));
    this.#pressure.some.add(Math.max(0, ...waits) * 1e6);
    for (const [i, vm] of vms.entries()) {
      const plan = plans[i];
      if (plan === undefined) continue;
      runIo(vm, plan, dt, this.#random, sink);
    }
    for (const hog of this.faults.hogThreads) hog.run(dt, { user: hog.demand, system: 0, guest: 0 }, 0);
    for (const disk of this.disks) disk.run(dt, this.#outstanding(disk));
    this.#times.add(threads, dt);
    this.#sched.emit(threads, sink);
    if (writes) this.#write();
  }

  /** Of tasks of all VMs that wait for a CPU. */
  get pressure(): SimPressure {
    return this.#pressure;
  }

  /** @throws Error before `writeTo` */
  get tracefs(): Tracefs {
    return this.#written.tracefs;
  }

  get #written(): HostTree {
    if (this.#tree === undefined) throw new Error('there is no tree before writeTo()');
    return this.#tree;
  }

  #askDisks(vms: readonly SimVm[], wishes: readonly number[]): void {
    for (const disk of this.disks) disk.asked = 0;
    for (const [i, vm] of vms.entries())
      for (const { host } of vm.disks) host.asked += (wishes[i] ?? 0) / vm.disks.length;
  }

  #outstanding(disk: SimDisk): number {
    const users = this.vms.filter((vm) => vm.disks.some(({ host }) => host === disk));
    return users.reduce((sum, vm) => sum + vm.outstanding, 0);
  }

  /**
   * Writes the tree now and after each step. Only one folder at a time; a tmpfs is fastest.
   * @param isAlone true if nobody reads the files while they are written, which makes writing cheaper
   */
  writeTo(folder: string, isAlone = false): void {
    this.#tree?.close();
    this.#tree = new HostTree(folder, this.#facts, { ...PARAMETERS, ...this.options.parameters }, isAlone);
    this.#write();
  }

  /**
   * Serves QMP sockets and executes commands written into tracefs, until `close`.
   * @param watches false if clients write to `tracefs` directly
   * @throws Error before `writeTo`
   */
  async serve(watches = true): Promise<void> {
    await this.#written.serve(watches);
  }

  /** Stops what `serve` started. The files stay. */
  close(): void {
    this.#tree?.close();
  }

  /** Number of files written. */
  get writes(): number {
    return this.#tree?.tree.writes ?? 0;
  }

  #write(): void {
    this.#tree?.update(this.#facts, this.vms, this.#times);
  }

  get #facts(): HostFacts {
    const { startTime = 1_760_000_000, uptime = 600, psi = false, cpufreq = false } = this.options;
    return {
      topology: this.topology,
      disks: this.disks,
      allCpus: this.allCpus,
      uptime: uptime + this.time,
      bootTime: Math.floor(startTime - uptime),
      lockdown: this.lockdown,
      hasBpf: this.hasBpf,
      pressure: psi ? this.#pressure : undefined,
      frequencies: cpufreq ? this.#frequencies : undefined,
      nodeOf: (cpu) => this.topology.cpus[cpu]?.node ?? 0,
    };
  }

  /** Shares of the nominal frequency, by CPU. */
  get #frequencies(): ReadonlyMap<number, number> {
    const all = new Map(this.allCpus.map((cpu) => [cpu, 1]));
    for (const { threads, faults } of this.vms)
      for (const { cpu } of threads) if (faults.frequency !== undefined) all.set(cpu, faults.frequency);
    return all;
  }

  get allCpus(): readonly number[] {
    return this.topology.cpus.map(({ cpu }) => cpu);
  }

  /**
   * Adds a process that is not a VM. A trace instance named after its id then counts as owned by a live
   * process.
   */
  addProcess(pid: number, comm: string): void {
    this.#tree?.addProcess(pid, comm);
  }

  /** Sets the I/Os per second that the guest requests. */
  load(name: string, iops: number): void {
    this.vm(name).iops = iops;
  }

  boot(spec: VmSpec): SimVm {
    if (this.#vms.has(spec.name)) throw new Error(`there is a VM ${spec.name} already`);
    const id = ++this.#born;
    const vm = makeVm({
      spec,
      id,
      pid: FIRST_PID + id * PIDS_PER_VM,
      startTicks: Math.round(((this.options.uptime ?? 600) + this.time) * 100) - (this.time === 0 ? 6000 : 0),
      disks: this.disks,
      allCpus: this.allCpus,
    });
    this.#vms.set(spec.name, vm);
    this.#place(vm);
    return vm;
  }

  destroy(name: string): void {
    this.vm(name);
    this.faults.hog(name, 0);
    this.#vms.delete(name);
    this.#pins.release(name);
  }

  /** Starts a new process for the VM, with counters that start at 0. */
  reboot(name: string, change: Partial<VmSpec> = {}): SimVm {
    const { spec, iops } = this.vm(name);
    this.destroy(name);
    const wanted = Number.isFinite(iops) ? { iops } : {};
    return this.boot({ ...spec, ...wanted, ...change });
  }

  /**
   * Changes pins and polling of the running VM; a change of queues or IOThreads needs a new QEMU process.
   * @returns the VM, which is a new one after a restart
   */
  configure(name: string, configuration: Configuration): SimVm {
    const vm = this.vm(name);
    const before = vm.queues;
    vm.configuration = configuration;
    const sameThreads = ioThreadCount(configuration, vm.disks.length) === vm.ioThreads.length;
    if (vm.queues !== before || !sameThreads) return this.reboot(name, { configuration });
    this.#place(vm);
    return vm;
  }

  /** A VM that is pinned stays where it is. */
  #place(vm: SimVm): void {
    if (!vm.calibration.pinned) {
      this.#pins.release(vm.name);
      vm.pins = new Map();
    } else if (vm.pins.size === 0) vm.pins = this.#pins.pin(vm.name, vm.threads, vm.node);
    this.faults.restore(vm.name);
  }
}

/** Interrupts of the host take time from the threads on the CPUs of a VM's vCPUs. */
function interrupt({ vcpus, faults: { interrupts = 0 } }: SimVm): void {
  for (const { thread } of vcpus) {
    thread.interrupted = interrupts;
    thread.speed *= 1 - interrupts;
  }
}

/** Assumption: 32 MiB a second go to swap, half as many as the guest's memory at most. */
function swap(vm: SimVm, dt: number): void {
  const { swaps = 0 } = vm.faults;
  if (swaps === 0) return;
  const most = ((vm.spec.memoryMiB ?? 4096) * MIB) / 2;
  vm.swappedBytes = Math.min(most, vm.swappedBytes + 32 * MIB * dt);
  vm.cgroup.memoryPressure.some.add(swaps * dt * 1e6);
}
