import { isDeepStrictEqual } from 'node:util';
import { isGone, SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import type { KvmDebugfsDirectory } from '../../probes/kvm-debugfs.ts';
import { livesOn } from '../../probes/proc-task-stat.ts';
import type { Disk } from '../../probes/sys-block.ts';
import type { CpuTopology } from '../../probes/sys-cpu.ts';
import {
  NO_SNAPSHOT,
  NO_THREAD_SOURCE,
  type ThreadSnapshot,
  type ThreadSource,
} from '../model/thread-snapshot.ts';
import type { MonitorHints, ThreadObservation, Vm, VmThread } from '../model/vm.ts';
import { assignLabels, type NameClaim } from '../model/vm-names.ts';
import { Yielder } from '../schedule/yielder.ts';
import { enrich } from './enrich.ts';
import { admit, type Entry, isAlive } from './entry.ts';
import { HostFacts } from './host-facts.ts';
import { directoryOwners, kvmDirectories } from './kvm-directories.ts';
import { LibvirtDomains } from './libvirt-domains.ts';
import { type InventorySource, Problems } from './problems.ts';
import { type Candidate, ProcessScanner } from './processes.ts';
import { VmDisks } from './vm-disks.ts';

const IRQBALANCE = 'irqbalance';

/**
 * Finds the VMs on the host. A full pass runs at intervals; a quick pass runs at each scrape and reads only
 * new processes. A pass does not wait for a VM: data that it cannot read in time is left for the next pass.
 */
export class Inventory {
  readonly #scanner = new ProcessScanner();
  readonly #libvirt = new LibvirtDomains();
  readonly #facts = new HostFacts();
  readonly #problems = new Problems();
  readonly #disks: VmDisks;
  /** In the order of their labels. */
  #entries: Map<string, Entry> = new Map();
  #vhostWorkers: ReadonlyMap<number, readonly number[]> = new Map();
  #running: { full: boolean; done: Promise<void> } | undefined;
  #passes = 0;

  /**
   * @param source reads all threads at once; missing threads come from /proc
   * @param vmHolders ids of the processes that have a VM in KVM; undefined if only their descriptors show it
   */
  constructor(
    private readonly host: Host,
    private readonly source: ThreadSource = NO_THREAD_SOURCE,
    private readonly vmHolders: () => ReadonlySet<number> | undefined = () => undefined,
  ) {
    this.#disks = new VmDisks(host, this.#facts, this.#problems);
  }

  /** VMs of the last pass, sorted by label. */
  get vms(): Vm[] {
    return Array.from(this.#entries.values(), ({ vm }) => vm);
  }

  get disks(): readonly Disk[] {
    return this.#facts.disks;
  }

  get topology(): CpuTopology | undefined {
    return this.#facts.topology;
  }

  /** Whether a process has the name of irqbalance; undefined before the first scan. */
  get runsIrqbalance(): boolean | undefined {
    return this.#scanner.runs(IRQBALANCE);
  }

  get problems(): ReadonlyMap<InventorySource, readonly SourceError[]> {
    return this.#problems.found;
  }

  /** Messages about unknown parts of the VMs' configuration that are not errors. */
  get limits(): string[] {
    const entries = [...this.#entries.values()];
    const unknown = entries.flatMap(({ vm, identity }) =>
      identity.missing.map((why) => `the devices of ${vm.label} are not known: ${why}`),
    );
    return [...unknown, ...unknownDevices(entries.map(({ vm }) => vm))];
  }

  /** Reads the threads of all VMs at once. Empty if that is not possible here. */
  readThreads(): ThreadSnapshot {
    const pids = [...this.#entries.values()].map(({ vm }) => vm.pid);
    return this.source.read(new Set(pids.flatMap((pid) => [pid, ...(this.#vhostWorkers.get(pid) ?? [])])));
  }

  /** The VM's current threads. @throws SourceError if the process has exited */
  observeThreads(vm: Vm, snapshot: ThreadSnapshot = NO_SNAPSHOT): ThreadObservation[] {
    const path = `${this.host.roots.procfs}/${vm.pid}`;
    const entry = this.#entries.get(vm.key);
    if (entry === undefined) throw new SourceError('vanished', path, 'the VM is gone');
    const workers = this.#vhostWorkers.get(vm.pid) ?? [];
    const observations = entry.threads.observe(this.host, vm, workers, snapshot);
    if (observations.find(({ thread }) => thread.tid === vm.pid)?.task.startTime !== vm.startTime) {
      throw new SourceError('vanished', path, 'the process is another one now');
    }
    return observations;
  }

  /** The VM's threads as last observed; reads nothing. */
  threadsOf(vm: Vm): Iterable<VmThread> {
    return this.#entries.get(vm.key)?.threads.threads ?? [];
  }

  /** Stores the hints of the QMP monitor on the VM. Thread ids override the thread names. */
  hint(key: string, hints: MonitorHints): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.hints === hints) return;
    entry.hints = hints;
    entry.vm = {
      ...entry.vm,
      vcpuThreads: new Map([...entry.vm.vcpuThreads, ...hints.vcpus]),
      iothreadThreads: hints.iothreads,
      monitorSigns: hints.signs,
    };
  }

  /** Stores which threads run the VM's vCPUs according to the kernel. A thread's name may give another index. */
  identifyVcpus(key: string, kvmVcpus: ReadonlyMap<number, number>): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || isDeepStrictEqual(entry.vm.kvmVcpus, kvmVcpus)) return;
    entry.vm = { ...entry.vm, kvmVcpus };
  }

  /** Applies pins and jobs that libvirt has changed since the last full pass. */
  refreshPins(): void {
    const { domains } = this.#libvirt.refresh(this.host);
    for (const entry of this.#entries.values()) {
      const domain = domains.get(entry.vm.pid);
      const { manager, pins, job } = entry.vm;
      if (domain === undefined || manager !== 'libvirt') continue;
      if (domain.pins === pins && domain.job === job) continue;
      entry.vm = { ...entry.vm, pins: domain.pins, job: domain.job, libvirtDisks: domain.disks };
    }
  }

  /**
   * Runs one pass at a time. A call during a pass waits for it and uses its result, except that a full pass
   * never reuses the result of a quick one.
   */
  async refresh(full: boolean): Promise<void> {
    while (this.#running !== undefined) {
      const { full: runningFull, done } = this.#running;
      await done;
      if (runningFull || !full) return;
    }
    const done = this.#pass(full).finally(() => {
      this.#running = undefined;
    });
    this.#running = { full, done };
    await done;
  }

  async #pass(full: boolean): Promise<void> {
    const { host } = this;
    if (full) {
      this.source.prepare();
      this.#problems.clear();
      this.#facts.refresh(host, this.#problems);
    }
    const holders = this.vmHolders();
    const ended = await this.#dropEnded(holders);
    const directories = kvmDirectories(host, this.#problems);
    const scan = await this.#scanner.scan(
      host,
      full,
      (pid, startTime) => this.#entries.has(`${pid}:${startTime}`),
      this.#suspects(directories, [...ended, ...(holders ?? [])]),
      holders,
    );
    for (const problem of scan.problems) this.#problems.note('inventory', problem);
    this.#vhostWorkers = scan.vhostWorkers;

    const fresh = await this.#admitAll(scan.candidates);
    // A new VM becomes visible only after it has its label and its disks.
    const entries = [...this.#entries.values(), ...fresh];
    if (full || fresh.length > 0) await this.#enrich(entries, directories);
    if (full) this.#passes++;
    await this.#disks.refresh(full ? entries : fresh, this.#passes);
    if (full || fresh.length > 0) this.#entries = byLabel([...this.#entries.values(), ...fresh]);
  }

  /**
   * A VM in KVM runs if its process is still the same one. The other VMs are read from /proc.
   *
   * @param holders ids of the processes that have a VM in KVM; undefined if unknown
   * @returns pids of VMs that have exited: a new process may have reused one
   */
  async #dropEnded(holders: ReadonlySet<number> | undefined): Promise<number[]> {
    const yielder = new Yielder();
    const ended: number[] = [];
    const snapshot = holders === undefined ? NO_SNAPSHOT : this.readThreads();
    for (const [key, entry] of this.#entries) {
      if (yielder.isDue()) await yielder.yield();
      const { vm } = entry;
      if (holders?.has(vm.pid) === true && snapshot.ofProcess(vm) !== undefined) continue;
      if (isAlive(this.host, entry)) continue;
      this.#entries.delete(key);
      ended.push(entry.vm.pid);
    }
    return ended;
  }

  /** Processes that may be an unknown VM: threads that created a VM according to KVM, its holders, and reused pids. */
  #suspects(directories: readonly KvmDebugfsDirectory[], others: readonly number[]): Set<number> {
    const suspects = new Set([...directories.map(({ tid }) => tid), ...others]);
    for (const { vm } of this.#entries.values()) suspects.delete(vm.pid);
    return suspects;
  }

  async #admitAll(candidates: readonly Candidate[]): Promise<Entry[]> {
    const yielder = new Yielder();
    const admitted: Entry[] = [];
    for (const candidate of candidates) {
      if (yielder.isDue()) await yielder.yield();
      try {
        const entry = await admit(this.host, candidate);
        if (entry !== undefined) admitted.push(entry);
      } catch (error) {
        const { pid, stat } = candidate;
        if (isGone(error) || !livesOn(this.host, { pid, startTime: stat.startTime })) continue;
        this.#problems.note('inventory', sourceError(error, `${this.host.roots.procfs}/${pid}`));
      }
    }
    return admitted;
  }

  /** Adds data from KVM's debugfs and from libvirt, and assigns each VM its label. */
  async #enrich(entries: readonly Entry[], directories: readonly KvmDebugfsDirectory[]): Promise<void> {
    const { host } = this;
    const yielder = new Yielder();
    const { domains, problems } = this.#libvirt.refresh(host);
    for (const problem of problems) this.#problems.note('libvirt', problem);
    const vms = entries.map(({ vm }) => vm);
    const owners = directoryOwners(host, vms, directories, this.#problems);
    const claims: NameClaim[] = [];
    for (const entry of entries) {
      if (yielder.isDue()) await yielder.yield();
      const { pid } = entry.vm;
      claims.push(enrich(host, this.#problems, entry, owners.get(pid) ?? [], domains.get(pid)));
    }
    const previous = new Map([...this.#entries].map(([key, { vm }]) => [key, vm.label]));
    const labels = assignLabels(claims, previous);
    for (const entry of entries) entry.vm = { ...entry.vm, label: labels.get(entry.vm.key) ?? entry.vm.key };
  }
}

function byLabel(entries: readonly Entry[]): Map<string, Entry> {
  const sorted = [...entries].sort((a, b) => (a.vm.label < b.vm.label ? -1 : 1));
  return new Map(sorted.map((entry) => [entry.vm.key, entry]));
}

/** Reports each cause once: many VMs have their images on the same file system. */
function unknownDevices(vms: readonly Vm[]): string[] {
  const byWhy = new Map<string, string[]>();
  for (const { label, unknownDevices: reasons } of vms)
    for (const why of reasons) byWhy.set(why, [...(byWhy.get(why) ?? []), label]);
  return [...byWhy].map(([why, labels]) => {
    const more = labels.length > 3 ? ` and ${labels.length - 3} more` : '';
    return `not all block devices of ${labels.slice(0, 3).join(', ')}${more} are known: ${why}`;
  });
}
