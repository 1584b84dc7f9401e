import { posix } from 'node:path';
import { MSEC_PER_SEC } from '../../kernel/units.ts';
import type { Host } from '../../probes/host.ts';
import type { Config } from '../config/options.ts';
import type { Inventory } from '../inventory/inventory.ts';
import { NOTHING, type RemoteResult, type Remotes } from '../model/remote.ts';
import type { Vm } from '../model/vm.ts';
import { iosOf, type VmStatistics } from '../model/vm-statistics.ts';
import { Libvirt } from './libvirt/libvirt.ts';
import { Virsh } from './libvirt/virsh.ts';
import type { Facts } from './qmp/facts.ts';
import { QmpSessions, type QmpSettings } from './qmp/sessions.ts';

/**
 * The scrape waits for the first response of a new VM, but never longer than this, whatever timeout is
 * configured.
 */
const MAX_CONNECT_MS = 1000;

/** VMMs and managers, which know more about a VM than the kernel's files. Selects the source for each VM. */
export class RemoteSources {
  readonly #sessions: QmpSessions;
  readonly #libvirt: Libvirt;
  #last: ReadonlyMap<string, VmStatistics> = new Map();

  constructor(
    host: Host,
    private readonly inventory: Inventory,
    private readonly config: () => Config,
    now: () => number,
  ) {
    const qmp = (): QmpSettings => ({
      rules: {
        pattern: config()['qmp.sockets'],
        directories: config()['qmp.directories'].split(',').map(normalize),
        rootfs: config()['path.rootfs'],
      },
      timeoutMs: config()['qmp.timeoutSeconds'] * MSEC_PER_SEC,
    });
    this.#sessions = new QmpSessions(host, qmp, now);
    const virsh = new Virsh();
    this.#libvirt = new Libvirt(
      () => ({
        uri: config()['libvirt.uri'],
        timeoutMs: config()['libvirt.timeoutSeconds'] * MSEC_PER_SEC,
      }),
      (uri, timeoutMs) => virsh.domstats(uri, timeoutMs),
      now,
    );
  }

  /** Last known statistics and facts of a VM from its monitor or libvirt. Does no I/O. */
  lastOf({ key }: Vm): { statistics: VmStatistics | undefined; facts: Facts | undefined } {
    return { statistics: this.#last.get(key), facts: this.#sessions.factsOf(key) };
  }

  /** Searches for the monitors of all VMs and queries new ones, which identify the VM's threads. */
  async discover(vms: readonly Vm[]): Promise<void> {
    if (!this.config()['collector.qmp']) return this.#sessions.close();
    this.#sessions.locate(vms, true);
    this.#remember(vms, [await this.#connect(vms, MAX_CONNECT_MS)]);
  }

  /**
   * Sends the requests of a scrape. The responses arrive while the kernel's files are read.
   *
   * @param withinMs how long the scrape can wait for monitors, if less than the timeout per VM
   */
  async query(vms: readonly Vm[], withinMs: number): Promise<Remotes> {
    const config = this.config();
    let qmp = Promise.resolve(NOTHING);
    if (config['collector.qmp']) {
      this.#sessions.locate(vms, false);
      const connected = await this.#connect(vms, Math.min(withinMs, MAX_CONNECT_MS));
      const others = vms.filter(({ key }) => !connected.queried.has(key));
      qmp = this.#queryMonitors(others, withinMs).then((result) => merged(connected, result));
    } else this.#sessions.close();
    const managed = vms.filter(({ key, manager }) => manager === 'libvirt' && !this.#sessions.has(key));
    const libvirt = config['collector.libvirt'] ? this.#libvirt.query(managed) : Promise.resolve(NOTHING);
    void Promise.all([qmp, libvirt]).then(
      (results) => this.#remember(vms, results),
      () => undefined,
    );
    return { qmp, libvirt, versionOf: ({ key }) => this.#sessions.versionOf(key) };
  }

  /** Whether the VM has a monitor connection of its own. */
  hasMonitor({ key }: Vm): boolean {
    return this.#sessions.has(key);
  }

  /**
   * Current I/O count of these VMs, by key. Independent of scrapes. Cheap: a monitor gets no other request.
   */
  async ios(vms: readonly Vm[]): Promise<ReadonlyMap<string, number>> {
    const config = this.config();
    const managed = vms.filter((vm) => vm.manager === 'libvirt' && !this.hasMonitor(vm));
    const [ios, libvirt] = await Promise.all([
      config['collector.qmp'] ? this.#sessions.ios(vms) : new Map<string, number>(),
      config['collector.libvirt'] ? this.#libvirt.query(managed) : NOTHING,
    ]);
    for (const [key, { disks }] of libvirt.statistics) ios.set(key, iosOf(disks));
    return ios;
  }

  close(): void {
    this.#sessions.close();
  }

  #remember(vms: readonly Vm[], results: readonly RemoteResult[]): void {
    const last = new Map<string, VmStatistics>();
    for (const { key } of vms) {
      const latest = results.map(({ statistics }) => statistics.get(key)).find((each) => each !== undefined);
      const known = latest ?? this.#last.get(key);
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
    const result = await this.#sessions.query(vms, withinMs);
    for (const { key } of vms) {
      const hints = this.#sessions.hintsOf(key);
      if (hints !== undefined) this.inventory.hint(key, hints);
    }
    return result;
  }
}

/** Turns `/run/qmp/` into `/run/qmp`. */
function normalize(directory: string): string {
  return posix.normalize(directory).replace(/(.)\/$/, '$1');
}

function merged(a: RemoteResult, b: RemoteResult): RemoteResult {
  return {
    statistics: new Map([...a.statistics, ...b.statistics]),
    queried: new Set([...a.queried, ...b.queried]),
    problems: [...a.problems, ...b.problems],
  };
}
