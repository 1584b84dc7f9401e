import type { Host } from '../../probes/host.ts';
import type { Inventory } from '../inventory/inventory.ts';
import { type KernelResult, NOTHING, type RemoteResult, type Remotes } from '../model/remote.ts';
import type { Vm } from '../model/vm.ts';
import { type KernelFacts, type Migration, requestsOf, type Storage } from '../model/vm-statistics.ts';
import { KernelStatistics } from './bpf/kernel.ts';
import type { BpfSettings, Loader } from './bpf/object.ts';
import { Libvirt, type LibvirtSettings } from './libvirt/libvirt.ts';
import { Virsh } from './libvirt/virsh.ts';
import type { Facts } from './qmp/facts.ts';
import { QmpSessions, type QmpSettings } from './qmp/sessions.ts';

/**
 * The scrape waits for the first response of a new VM, but never longer than this, whatever timeout is
 * configured.
 */
const MAX_CONNECT_MS = 1000;
/** vCPUs rarely change their threads, so the rows with which this pass found the VMs are recent enough. */
const OF_THIS_PASS_MS = 5000;

export interface RemoteSettings {
  readonly kernel: BpfSettings;
  readonly qmp: QmpSettings & { readonly enabled: boolean };
  readonly libvirt: LibvirtSettings & { readonly enabled: boolean };
}

export interface Known {
  readonly statistics: Storage | undefined;
  /** Age of the statistics; undefined without. */
  readonly ageMs?: number | undefined;
  readonly facts: Facts | undefined;
  readonly kernel: KernelFacts | undefined;
  readonly migration?: Migration | undefined;
}

interface Answered {
  readonly statistics: Storage;
  /** Milliseconds of the monotonic clock. */
  readonly at: number;
}

/** VMMs and managers, which have more data on a VM than the kernel's files. Selects the source for each VM. */
export class RemoteSources {
  readonly #sessions: QmpSessions;
  readonly #libvirt: Libvirt;
  readonly #kernel: KernelStatistics;
  #last: ReadonlyMap<string, Answered> = new Map();

  constructor(
    host: Host,
    private readonly inventory: Inventory,
    private settings: RemoteSettings,
    private readonly now: () => number,
    loadBpf?: Loader,
  ) {
    this.#sessions = new QmpSessions(host, settings.qmp, now);
    this.#kernel = new KernelStatistics(
      host,
      settings.kernel,
      (vm, tid) => vcpuIndex(inventory, vm, tid),
      loadBpf,
      now,
    );
    const virsh = new Virsh();
    this.#libvirt = new Libvirt(settings.libvirt, virsh, now);
  }

  configure(settings: RemoteSettings): void {
    this.settings = settings;
    this.#kernel.configure(settings.kernel);
    this.#sessions.configure(settings.qmp);
    this.#libvirt.configure(settings.libvirt);
  }

  /** The last reports of a VM's monitor, of libvirt and of the kernel. Does no I/O. */
  lastOf(vm: Vm): Known {
    const { key } = vm;
    const { statistics, at } = this.#last.get(key) ?? {};
    return {
      statistics,
      ageMs: at === undefined ? undefined : this.now() - at,
      migration: statistics?.migration ?? this.#libvirt.migrationOf(vm),
      facts: this.#sessions.factsOf(key),
      kernel: this.#kernel.lastOf(key),
    };
  }

  /** Searches for the monitors of all VMs and queries new ones, which identify the VM's threads. */
  async discover(vms: readonly Vm[]): Promise<void> {
    this.#kernel.prepare();
    this.#queryKernel(vms, OF_THIS_PASS_MS);
    if (!this.settings.qmp.enabled) return this.#sessions.close();
    this.#sessions.locate(vms, true);
    this.#remember(vms, [(await this.#connect(vms, MAX_CONNECT_MS)).statistics]);
  }

  /**
   * Sends the requests of a scrape. The responses arrive while the kernel's files are read.
   *
   * @param withinMs how long the scrape can wait for monitors, if less than the timeout per VM
   */
  async query(vms: readonly Vm[], withinMs: number): Promise<Remotes> {
    const { settings } = this;
    const kernel = this.#queryKernel(vms);
    let qmp = Promise.resolve(NOTHING);
    if (settings.qmp.enabled) {
      this.#sessions.locate(vms, false);
      const connected = await this.#connect(vms, Math.min(withinMs, MAX_CONNECT_MS));
      const others = vms.filter(({ key }) => !connected.queried.has(key));
      qmp = this.#queryMonitors(others, withinMs).then((result) => merged(connected, result));
    } else this.#sessions.close();
    const managed = vms.filter(({ key, manager }) => manager === 'libvirt' && !this.#sessions.has(key));
    const libvirt = settings.libvirt.enabled ? this.#libvirt.query(managed) : Promise.resolve(NOTHING);
    void Promise.all([qmp, libvirt]).then(
      (results) =>
        this.#remember(
          vms,
          results.map(({ statistics }) => statistics),
        ),
      () => undefined,
    );
    return { kernel, qmp, libvirt, versionOf: ({ key }) => this.#sessions.versionOf(key) };
  }

  /** Whether BPF is enabled here, even if it fails. */
  get readsKernel(): boolean {
    return this.#kernel.isWanted;
  }

  /** Ids of the processes that have a VM in KVM now; undefined if the kernel cannot be read. */
  vmHolders(): ReadonlySet<number> | undefined {
    return this.#kernel.holders();
  }

  /** Whether the VM has a monitor connection of its own. */
  hasMonitor({ key }: Vm): boolean {
    return this.#sessions.has(key);
  }

  /**
   * Current number of disk requests of these VMs, by key, and how their disks are served. Independent of
   * scrapes. Cheap: a monitor gets one short request.
   */
  async ios(vms: readonly Vm[]): Promise<ReadonlyMap<string, number>> {
    const { settings } = this;
    const managed = vms.filter((vm) => vm.manager === 'libvirt' && !this.hasMonitor(vm));
    const [storage, libvirt] = await Promise.all([
      settings.qmp.enabled ? this.#sessions.storage(vms) : new Map<string, Storage>(),
      settings.libvirt.enabled ? this.#libvirt.query(managed) : NOTHING,
    ]);
    const found = new Map<string, Storage>([...storage, ...libvirt.statistics]);
    this.#remember(this.inventory.vms, [found]);
    return new Map([...found].map(([key, { disks }]) => [key, requestsOf(disks)]));
  }

  close(): void {
    this.#kernel.close();
    this.#sessions.close();
  }

  /** The kernel identifies the threads of vCPUs, whatever their names are. */
  #queryKernel(vms: readonly Vm[], maxAgeMs?: number): KernelResult {
    const result = this.#kernel.query(vms, maxAgeMs);
    for (const vm of vms) {
      const vcpus = this.#kernel.vcpusOf(vm);
      if (vcpus !== undefined) this.inventory.identifyVcpus(vm.key, vcpus);
    }
    return result;
  }

  #remember(vms: readonly Vm[], results: readonly ReadonlyMap<string, Storage>[]): void {
    const last = new Map<string, Answered>();
    const at = this.now();
    for (const { key } of vms) {
      const latest = results.map((result) => result.get(key)).find((each) => each !== undefined);
      const known = latest === undefined ? this.#last.get(key) : { statistics: latest, at };
      if (known !== undefined) last.set(key, known);
    }
    this.#last = last;
  }

  /** The first response of a VM identifies its threads, so the scrape waits for it once. */
  async #connect(vms: readonly Vm[], withinMs: number): Promise<RemoteResult> {
    const newVms = vms.filter(({ key }) => this.#sessions.isNew(key));
    return newVms.length > 0 ? this.#queryMonitors(newVms, withinMs) : NOTHING;
  }

  async #queryMonitors(vms: readonly Vm[], withinMs: number): Promise<RemoteResult> {
    const result = await this.#sessions.query(vms, withinMs, ({ key }) => this.#kernel.namesOf(key));
    for (const { key } of vms) {
      const hints = this.#sessions.hintsOf(key);
      if (hints !== undefined) this.inventory.hint(key, hints);
    }
    return result;
  }
}

/** The number in the label of the vCPU's thread, so that the vCPU and its thread have the same one. */
function vcpuIndex(inventory: Inventory, vm: Vm, tid: number): number | undefined {
  const known = vm.vcpuThreads.get(tid);
  if (known !== undefined) return known;
  for (const thread of inventory.threadsOf(vm)) {
    if (thread.tid !== tid || thread.role !== 'vcpu') continue;
    const digits = /^vcpu(\d+)/.exec(thread.label)?.[1];
    return digits === undefined ? undefined : Number(digits);
  }
  return undefined;
}

function merged(a: RemoteResult, b: RemoteResult): RemoteResult {
  return {
    statistics: new Map([...a.statistics, ...b.statistics]),
    queried: new Set([...a.queried, ...b.queried]),
    problems: [...a.problems, ...b.problems],
  };
}
