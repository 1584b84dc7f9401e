import { isDeepStrictEqual } from 'node:util';
import { isGone, SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import type { KvmDebugfsDirectory } from '../../probes/kvm-debugfs.ts';
import type { LibvirtDomain } from '../../probes/libvirt-domstatus.ts';
import { type Descriptor, readDescriptor, readDescriptors } from '../../probes/proc-pid-fd.ts';
import { livesOn } from '../../probes/proc-task-stat.ts';
import type { FilesByUse, OtherFiles } from '../../probes/qemu-files.ts';
import type { Disk } from '../../probes/sys-block.ts';
import type { CpuTopology } from '../../probes/sys-cpu.ts';
import {
  NO_SNAPSHOT,
  NO_THREAD_SOURCE,
  type ThreadSnapshot,
  type ThreadSource,
} from '../model/thread-snapshot.ts';
import type { MonitorHints, ThreadObservation, Vm, VmThread } from '../model/vm.ts';
import { assignLabels, type NameClaim, TRUST, truncateName } from '../model/vm-names.ts';
import { Yielder } from '../schedule/yielder.ts';
import { blockDevicesOf } from './block-devices.ts';
import { FileLookups } from './file-lookups.ts';
import { HostFacts } from './host-facts.ts';
import { type Identity, identify, isManagedBy } from './identity.ts';
import { directoryOwners, kvmDirectories, readDirectory, vcpuThreadsOf } from './kvm-directories.ts';
import { LibvirtDomains } from './libvirt-domains.ts';
import { MountCache } from './mount-cache.ts';
import { areSame, otherFilesNow } from './other-files.ts';
import { type InventorySource, Problems } from './problems.ts';
import { type Candidate, isKvmVm, ProcessScanner } from './processes.ts';
import { ThreadTable } from './thread-table.ts';

/** Each VM's open disks are read in every sixth full pass: hot-plug is rare and the read is expensive. */
const PASSES_PER_DISK_LOOK = 6;

interface Entry {
  readonly kvmFd: number | undefined;
  readonly identity: Identity;
  readonly threads: ThreadTable;
  hints: MonitorHints | undefined;
  /** From libvirt; undefined if libvirt does not manage the VM. */
  files: FilesByUse | undefined;
  /** As of the last read of its disks; undefined before the first. */
  otherFiles: OtherFiles | undefined;
  vm: Vm;
}

/** What one pass reads once for all VMs. */
interface PassReads {
  readonly mounts: MountCache;
  readonly lookups: FileLookups;
}

/**
 * Finds the VMs on the host. A full pass runs at intervals; a quick pass runs at each scrape and reads only
 * new processes. A pass does not wait for a VM: data that it cannot read in time is left for the next pass.
 */
export class Inventory {
  readonly #scanner = new ProcessScanner();
  readonly #libvirt = new LibvirtDomains();
  readonly #facts = new HostFacts();
  readonly #problems = new Problems();
  #entries = new Map<string, Entry>();
  #vhostWorkers: ReadonlyMap<number, readonly number[]> = new Map();
  #running: { full: boolean; done: Promise<void> } | undefined;
  #passes = 0;

  /**
   * @param source reads all threads at once; what it lacks comes from /proc
   * @param vmHolders ids of the processes that have a VM in KVM; undefined if only their descriptors show it
   */
  constructor(
    private readonly host: Host,
    private readonly source: ThreadSource = NO_THREAD_SOURCE,
    private readonly vmHolders: () => ReadonlySet<number> | undefined = () => undefined,
  ) {}

  /** VMs of the last pass, sorted by label. */
  get vms(): Vm[] {
    return [...this.#entries.values()].map(({ vm }) => vm).sort((a, b) => (a.label < b.label ? -1 : 1));
  }

  get disks(): readonly Disk[] {
    return this.#facts.disks;
  }

  get topology(): CpuTopology | undefined {
    return this.#facts.topology;
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

  /** Stores what the QMP monitor reports about the VM. Thread ids override the thread names. */
  hint(key: string, hints: MonitorHints): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.hints === hints) return;
    entry.hints = hints;
    entry.vm = {
      ...entry.vm,
      vcpuThreads: new Map([...entry.vm.vcpuThreads, ...hints.vcpus]),
      iothreadThreads: hints.iothreads,
    };
  }

  /** Stores which threads run the VM's vCPUs according to the kernel. A thread's name may give another index. */
  identifyVcpus(key: string, kvmVcpus: ReadonlyMap<number, number>): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || isDeepStrictEqual(entry.vm.kvmVcpus, kvmVcpus)) return;
    entry.vm = { ...entry.vm, kvmVcpus };
  }

  /** Applies pins that libvirt has changed since the last full pass. */
  refreshPins(): void {
    const { domains } = this.#libvirt.refresh(this.host);
    for (const entry of this.#entries.values()) {
      const domain = domains.get(entry.vm.pid);
      if (domain === undefined || entry.vm.manager !== 'libvirt' || domain.pins === entry.vm.pins) continue;
      entry.vm = { ...entry.vm, pins: domain.pins, libvirtDisks: domain.disks };
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
    const ended = await this.#dropEnded();
    const directories = kvmDirectories(host, this.#problems);
    const holders = this.vmHolders();
    const scan = await this.#scanner.scan(
      host,
      full,
      (pid, startTime) => this.#entries.has(`${pid}:${startTime}`),
      this.#suspects(directories, [...ended, ...(holders ?? [])]),
      holders,
    );
    for (const problem of scan.problems) this.#problems.note('inventory', problem);
    this.#vhostWorkers = scan.vhostWorkers;

    const reads = { mounts: new MountCache(host), lookups: new FileLookups(host) };
    const fresh = await this.#admitAll(scan.candidates);
    // A new VM becomes visible only after it has its label and its disks.
    const entries = [...this.#entries.values(), ...fresh];
    if (full || fresh.length > 0) await this.#enrich(entries, directories);
    if (full) this.#passes++;
    await this.#refreshDisks(full ? entries : fresh, reads);
    for (const entry of fresh) this.#entries.set(entry.vm.key, entry);
  }

  /** @returns pids of VMs that have exited: a new process may have reused one */
  async #dropEnded(): Promise<number[]> {
    const yielder = new Yielder();
    const ended: number[] = [];
    for (const [key, entry] of this.#entries) {
      if (yielder.isDue()) await yielder.yield();
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
        const entry = await this.#admit(candidate);
        if (entry !== undefined) admitted.push(entry);
      } catch (error) {
        if (isGone(error)) continue;
        this.#problems.note('inventory', sourceError(error, `${this.host.roots.procfs}/${candidate.pid}`));
      }
    }
    return admitted;
  }

  async #admit(candidate: Candidate): Promise<Entry | undefined> {
    const identity = await identify(this.host, candidate);
    if (identity === undefined) return undefined;
    const { pid, stat, kvmFd } = candidate;
    const { name, uuid, vmm, accel, machine, iothreadIds, diskIds, monitors, devices } = identity;
    const { isConfidential } = identity;
    const vm: Vm = {
      key: `${pid}:${stat.startTime}`,
      label: '',
      name,
      uuid,
      vmm,
      manager: '',
      accel,
      machine,
      pid,
      startTime: stat.startTime,
      directories: [],
      blockDevices: [],
      unknownDevices: [],
      vcpuThreads: new Map(),
      kvmVcpus: new Map(),
      iothreadIds,
      diskIds,
      iothreadThreads: new Map(),
      monitors,
      domain: '',
      pins: undefined,
      libvirtDisks: undefined,
      devices,
      isConfidential,
    };
    const threads = new ThreadTable();
    return { kvmFd, identity, threads, hints: undefined, files: undefined, otherFiles: undefined, vm };
  }

  /** Reads the disks of new VMs, of those whose turn it is, and of those whose media changed. */
  async #refreshDisks(entries: readonly Entry[], reads: PassReads): Promise<void> {
    const yielder = new Yielder();
    for (const entry of entries) {
      const { pid } = entry.vm;
      const { identity, files, hints } = entry;
      const otherFiles = otherFilesNow(this.host, identity.otherFiles, [files, hints?.files]);
      const isDue = (pid + this.#passes) % PASSES_PER_DISK_LOOK === 0;
      if (!isDue && entry.otherFiles !== undefined && areSame(entry.otherFiles, otherFiles)) continue;
      if (yielder.isDue()) await yielder.yield();
      const descriptors = this.#problems.attempt(
        'inventory',
        () => readDescriptors(this.host, pid),
        [],
        () => livesOn(this.host, entry.vm),
      );
      entry.otherFiles = otherFiles;
      // A hint may change the VM during the wait.
      const found = await this.#blockDevices(pid, descriptors, reads, otherFiles);
      // A failed read changes nothing and is repeated in the next full pass.
      if (found === undefined) entry.otherFiles = undefined;
      else entry.vm = { ...entry.vm, ...found };
    }
  }

  /** Disks are optional. @returns undefined if the VM's mounts cannot be read in time */
  async #blockDevices(
    pid: number,
    descriptors: readonly Descriptor[],
    { mounts, lookups }: PassReads,
    otherFiles: OtherFiles,
  ): Promise<Pick<Vm, 'blockDevices' | 'unknownDevices'> | undefined> {
    const { disksByName: disks, fileSystems } = this.#facts;
    try {
      const devices = { host: this.host, disks, fileSystems, hostMounts: await mounts.of(1) };
      const open = { pid, descriptors, mounts: await mounts.of(pid), otherFiles };
      const found = await blockDevicesOf(devices, lookups, open);
      return { blockDevices: found.devices, unknownDevices: found.unknown };
    } catch (error) {
      if (!isGone(error))
        this.#problems.note('block', sourceError(error, `${this.host.roots.procfs}/${pid}`));
      return undefined;
    }
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
      claims.push(this.#enrichOne(entry, owners.get(entry.vm.pid) ?? [], domains.get(entry.vm.pid)));
    }
    const previous = new Map([...this.#entries].map(([key, { vm }]) => [key, vm.label]));
    const labels = assignLabels(claims, previous);
    for (const entry of entries) entry.vm = { ...entry.vm, label: labels.get(entry.vm.key) ?? entry.vm.key };
  }

  #enrichOne(entry: Entry, names: readonly string[], domain: LibvirtDomain | undefined): NameClaim {
    const { vm, identity } = entry;
    const managed = domain !== undefined && isManagedBy(domain, vm.pid, identity);
    const directories = this.#problems.attempt(
      'kvm_debugfs',
      () => names.map((name) => readDirectory(this.host, name, vm.directories)),
      vm.directories,
      () => isAlive(this.host, entry),
    );
    const vcpus = directories.reduce((sum, { content }) => sum + content.vcpus.length, 0);
    const isKnown =
      vm.vcpuThreads.size >= vcpus && directories.every((each, i) => each === vm.directories[i]);
    // A vCPU keeps its thread, so once all are known they are not read again.
    const vcpuThreads = isKnown
      ? new Map(vm.vcpuThreads)
      : vcpuThreadsOf(this.host, directories, this.#problems);
    if (managed) for (const { id, tid } of domain.vcpus) vcpuThreads.set(tid, id);
    for (const [tid, index] of entry.hints?.vcpus ?? []) vcpuThreads.set(tid, index);
    entry.files = managed ? domain.files : undefined;
    entry.vm = {
      ...vm,
      name: managed ? truncateName(domain.name) : identity.name,
      domain: managed ? domain.name : '',
      pins: managed ? domain.pins : undefined,
      libvirtDisks: managed ? domain.disks : undefined,
      manager: managed ? 'libvirt' : '',
      directories,
      vcpuThreads,
    };
    const { key, name, uuid, pid, startTime } = entry.vm;
    return { key, name, uuid, pid, startTime, trust: TRUST[managed ? 'libvirt' : vm.accel] };
  }
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

/**
 * If the process cannot be read for another reason than its exit, the VM counts as running: dropping it would
 * reset its counters.
 */
function isAlive(host: Host, { vm, kvmFd }: Entry): boolean {
  if (!livesOn(host, vm)) return false;
  try {
    return kvmFd === undefined || isKvmVm(readDescriptor(host, vm.pid, kvmFd));
  } catch (error) {
    return !isGone(error);
  }
}
