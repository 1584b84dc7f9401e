import { isGone, SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import {
  type KvmDebugfsDirectory,
  listKvmDebugfs,
  readKvmDebugfsContent,
  readKvmVcpuThread,
} from '../../probes/kvm-debugfs.ts';
import type { LibvirtDomain } from '../../probes/libvirt-domstatus.ts';
import { type Mount, readMountinfo } from '../../probes/proc-mountinfo.ts';
import { type Descriptor, readDescriptor, readDescriptors } from '../../probes/proc-pid-fd.ts';
import { listTids } from '../../probes/proc-pids.ts';
import { readTaskStat } from '../../probes/proc-task-stat.ts';
import { type Disk, readDisks } from '../../probes/sys-block.ts';
import { type CpuTopology, readCpuTopology, readOnlineCpus } from '../../probes/sys-cpu.ts';
import type { BlockDeviceUse, KvmDirectory, ThreadObservation, Vm, VmThread } from '../model/vm.ts';
import { assignLabels, type NameClaim } from '../model/vm-names.ts';
import { Pace } from '../pace.ts';
import { blockDevicesOf } from './block-devices.ts';
import { type Identity, identify, isManagedBy } from './identity.ts';
import { LibvirtDomains } from './libvirt-domains.ts';
import { type Candidate, isKvmVm, ProcessScanner } from './processes.ts';
import { ThreadTable } from './thread-table.ts';

/** Full passes between two looks at which disks a VM has open: hot-plug is rare and the look costs most. */
const PASSES_PER_DISK_LOOK = 6;
const MOUNTINFO_TIMEOUT_MS = 500;

interface Entry {
  readonly pid: number;
  readonly startTime: number;
  readonly kvmFd: number | undefined;
  readonly identity: Identity;
  readonly threads: ThreadTable;
  vm: Vm;
}

/** Probes that the inventory answers for, with what went wrong in its last pass. */
export type InventoryProblems = ReadonlyMap<
  'inventory' | 'libvirt' | 'kvm_debugfs' | 'block' | 'cpus',
  readonly SourceError[]
>;

/**
 * Which VMs there are. A full pass runs at intervals; a quick one, at each scrape, looks only at processes never seen.
 * Nothing here waits for a VM's goodwill: what cannot be read in time is left for the next pass.
 */
export class Inventory {
  readonly #host: Host;
  readonly #scanner = new ProcessScanner();
  readonly #libvirt = new LibvirtDomains();
  #entries = new Map<string, Entry>();
  #disks: readonly Disk[] = [];
  #topology: CpuTopology | undefined;
  #onlineCpus = '';
  #problems: InventoryProblems = new Map();
  #vhostWorkers: ReadonlyMap<number, readonly number[]> = new Map();
  #running: { full: boolean; done: Promise<void> } | undefined;
  #passes = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  /** VMs of the last pass, in order of label. */
  get vms(): Vm[] {
    return [...this.#entries.values()].map(({ vm }) => vm).sort((a, b) => (a.label < b.label ? -1 : 1));
  }

  /** Disks of the last full pass. */
  get disks(): readonly Disk[] {
    return this.#disks;
  }

  /** Of the last full pass; undefined where the kernel does not tell. */
  get topology(): CpuTopology | undefined {
    return this.#topology;
  }

  get problems(): InventoryProblems {
    return this.#problems;
  }

  /** The VM's threads as of now, with the stat of each. @throws SourceError where the process is gone */
  observeThreads(vm: Vm): ThreadObservation[] {
    const entry = this.#entries.get(vm.key);
    if (entry === undefined)
      throw new SourceError('vanished', `${this.#host.roots.procfs}/${vm.pid}`, 'the VM is gone');
    const observations = entry.threads.observe(this.#host, vm, this.#vhostWorkers.get(vm.pid) ?? []);
    if (observations.find(({ thread }) => thread.tid === vm.pid)?.stat.startTime !== vm.startTime) {
      throw new SourceError(
        'vanished',
        `${this.#host.roots.procfs}/${vm.pid}`,
        'the process is another one now',
      );
    }
    return observations;
  }

  /** The VM's threads as last observed; costs nothing. */
  threadsOf(vm: Vm): Iterable<VmThread> {
    return this.#entries.get(vm.key)?.threads.threads ?? [];
  }

  /** One pass at a time: who asks while one runs gets its result, and a full pass serves for a quick one. */
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
    const host = this.#host;
    const pace = new Pace();
    const problems = {
      inventory: [] as SourceError[],
      kvm_debugfs: [] as SourceError[],
      block: [] as SourceError[],
      cpus: [] as SourceError[],
    };
    if (full) {
      this.#disks = attempt(() => readDisks(host), [], problems.block);
      attempt(() => this.#refreshTopology(), undefined, problems.cpus);
    }
    const entries = new Map<string, Entry>();
    for (const [key, entry] of this.#entries) {
      if (pace.isDue()) await pace.giveWay();
      if (isAlive(host, entry)) entries.set(key, entry);
    }

    const directories = attempt(() => listKvmDebugfs(host), [], problems.kvm_debugfs);
    const suspects = new Set(directories.map(({ tid }) => tid));
    for (const { pid } of entries.values()) suspects.delete(pid);
    const isVm = (pid: number, startTime: number): boolean => entries.has(`${pid}:${startTime}`);
    const scan = await this.#scanner.scan(host, full, isVm, suspects);
    problems.inventory.push(...scan.problems);
    this.#vhostWorkers = scan.vhostWorkers;

    const libvirt =
      full || scan.candidates.length > 0 ? this.#libvirt.refresh(host) : { domains: new Map(), problems: [] };
    const mounts = new MountCache(host);
    const fresh = new Map<string, Entry>();
    for (const candidate of scan.candidates) {
      if (pace.isDue()) await pace.giveWay();
      try {
        const entry = await this.#admit(candidate, mounts);
        if (entry !== undefined) fresh.set(entry.vm.key, entry);
      } catch (error) {
        if (!isGone(error))
          problems.inventory.push(sourceError(error, `${host.roots.procfs}/${candidate.pid}`));
      }
    }
    for (const [key, entry] of fresh) entries.set(key, entry);

    if (full) {
      this.#passes++;
      for (const entry of entries.values()) {
        if ((entry.pid + this.#passes) % PASSES_PER_DISK_LOOK !== 0 || fresh.has(entry.vm.key)) continue;
        if (pace.isDue()) await pace.giveWay();
        const descriptors = attempt(() => readDescriptors(host, entry.pid), undefined, []);
        if (descriptors === undefined) continue;
        entry.vm = { ...entry.vm, blockDevices: await this.#blockDevices(entry.pid, descriptors, mounts) };
      }
    }
    if (full || fresh.size > 0)
      await this.#enrich(entries, directories, libvirt.domains, problems.kvm_debugfs);
    this.#entries = entries;
    const before = this.#problems;
    this.#problems = new Map([
      ['block', full ? problems.block : (before.get('block') ?? [])],
      ['cpus', full ? problems.cpus : (before.get('cpus') ?? [])],
      // A quick pass does not look again at what failed: the failure stands until the next full one.
      [
        'inventory',
        full ? problems.inventory : [...(before.get('inventory') ?? []), ...problems.inventory].slice(0, 16),
      ],
      ['kvm_debugfs', problems.kvm_debugfs],
      ['libvirt', full || scan.candidates.length > 0 ? libvirt.problems : (before.get('libvirt') ?? [])],
    ]);
  }

  /** The topology changes only when CPUs come or go. */
  #refreshTopology(): void {
    const online = readOnlineCpus(this.#host);
    if (this.#topology !== undefined && online === this.#onlineCpus) return;
    this.#topology = readCpuTopology(this.#host);
    this.#onlineCpus = online;
  }

  async #admit(candidate: Candidate, mounts: MountCache): Promise<Entry | undefined> {
    const identity = await identify(this.#host, candidate);
    if (identity === undefined) return undefined;
    const { pid, stat, kvmFd } = candidate;
    const vm: Vm = {
      key: `${pid}:${stat.startTime}`,
      label: '',
      name: identity.name,
      uuid: identity.uuid,
      vmm: identity.vmm,
      manager: '',
      accel: identity.accel,
      machine: identity.machine,
      pid,
      startTime: stat.startTime,
      directories: [],
      blockDevices: await this.#blockDevices(pid, candidate.descriptors, mounts),
      vcpuThreads: new Map(),
      iothreadIds: identity.iothreadIds,
    };
    return { pid, startTime: stat.startTime, kvmFd, identity, threads: new ThreadTable(), vm };
  }

  async #blockDevices(
    pid: number,
    descriptors: readonly Descriptor[],
    mounts: MountCache,
  ): Promise<BlockDeviceUse[]> {
    const disks = new Map(this.#disks.map((disk) => [disk.name, disk]));
    try {
      const devices = { host: this.#host, disks, hostMounts: await mounts.of(1) };
      return blockDevicesOf(devices, pid, descriptors, await mounts.of(pid));
    } catch (error) {
      if (isGone(error)) return [];
      throw error;
    }
  }

  /** Adds what KVM's debugfs and libvirt know, and gives each VM its label. */
  async #enrich(
    entries: ReadonlyMap<string, Entry>,
    directories: readonly KvmDebugfsDirectory[],
    domains: ReadonlyMap<number, LibvirtDomain>,
    problems: SourceError[],
  ): Promise<void> {
    const pace = new Pace();
    const owners = directoryOwners(this.#host, [...entries.values()], directories);
    const claims: NameClaim[] = [];
    for (const entry of entries.values()) {
      if (pace.isDue()) await pace.giveWay();
      const domain = domains.get(entry.pid);
      const managed = domain !== undefined && isManagedBy(domain, entry.pid, entry.identity);
      const own = attempt(
        () => (owners.get(entry.pid) ?? []).map((name) => this.#directory(name, entry.vm.directories)),
        entry.vm.directories,
        problems,
      );
      const vcpuThreads = new Map<number, number>();
      for (const directory of own) {
        for (const vcpu of directory.content.vcpus) {
          const tid = attempt(() => readKvmVcpuThread(this.#host, directory.name, vcpu), undefined, problems);
          if (tid !== undefined) vcpuThreads.set(tid, vcpu);
        }
      }
      if (managed) for (const { id, tid } of domain.vcpus) vcpuThreads.set(tid, id);
      entry.vm = {
        ...entry.vm,
        name: managed ? domain.name : entry.identity.name,
        manager: managed ? 'libvirt' : '',
        directories: own,
        vcpuThreads,
      };
      const { key, name, pid, startTime } = entry.vm;
      claims.push({ key, name, pid, startTime, vouched: managed });
    }
    const previous = new Map([...this.#entries].map(([key, { vm }]) => [key, vm.label]));
    const labels = assignLabels(claims, previous);
    for (const entry of entries.values()) {
      entry.vm = { ...entry.vm, label: labels.get(entry.vm.key) ?? entry.vm.key };
    }
  }

  /** A directory's content is read once; vCPUs that were hot-plugged since show in the number of entries. */
  #directory(name: string, known: readonly KvmDirectory[]): KvmDirectory {
    const before = known.find((directory) => directory.name === name);
    const content = before?.content;
    const entries = this.#host.entries(`${this.#host.roots.debugfs}/kvm/${name}`).length;
    if (before !== undefined && content !== undefined && entries === content.entries) return before;
    return { name, content: readKvmDebugfsContent(this.#host, name) };
  }
}

/** Mounts by process, each process read once in a pass. */
class MountCache {
  readonly #mounts = new Map<number, Promise<Mount[]>>();

  constructor(private readonly host: Host) {}

  of(pid: number): Promise<Mount[]> {
    let mounts = this.#mounts.get(pid);
    if (mounts === undefined) {
      mounts = readMountinfo(this.host, pid, MOUNTINFO_TIMEOUT_MS).catch((error: unknown) => {
        if (isGone(error)) return [];
        throw error;
      });
      this.#mounts.set(pid, mounts);
    }
    return mounts;
  }
}

function isAlive(host: Host, { pid, startTime, kvmFd }: Entry): boolean {
  try {
    const stat = readTaskStat(host, `${host.roots.procfs}/${pid}`);
    if (stat.startTime !== startTime || stat.state === 'Z' || stat.state === 'X') return false;
    return kvmFd === undefined || isKvmVm(readDescriptor(host, pid, kvmFd));
  } catch {
    return false;
  }
}

/** Which process each debugfs directory belongs to: KVM names it after the thread that made the VM. */
function directoryOwners(
  host: Host,
  entries: readonly Entry[],
  directories: readonly KvmDebugfsDirectory[],
): Map<number, string[]> {
  const owners = new Map<number, string[]>();
  const pids = new Set(entries.map(({ pid }) => pid));
  const strays: KvmDebugfsDirectory[] = [];
  const own = (pid: number, name: string): void => {
    owners.set(pid, [...(owners.get(pid) ?? []), name]);
  };
  for (const directory of directories) {
    if (pids.has(directory.tid)) own(directory.tid, directory.name);
    else strays.push(directory);
  }
  if (strays.length === 0) return owners;
  const processOf = new Map<number, number>();
  for (const { pid } of entries) {
    if (owners.has(pid)) continue;
    for (const tid of attempt(() => listTids(host, pid), [], [])) processOf.set(tid, pid);
  }
  for (const { name, tid } of strays) {
    const vcpu0 = attempt(() => readKvmVcpuThread(host, name, 0), undefined, []);
    const pid = processOf.get(tid) ?? (vcpu0 === undefined ? undefined : processOf.get(vcpu0));
    if (pid !== undefined) own(pid, name);
  }
  return owners;
}

/** Runs a read that may fail without costing the rest; a failure that is not a death is noted. */
function attempt<T>(read: () => T, otherwise: T, problems: SourceError[]): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    if (error.kind !== 'vanished') problems.push(error);
    return otherwise;
  }
}
