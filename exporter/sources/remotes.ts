import { posix } from 'node:path';
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

const MILLISECONDS = 1e3;
/**
 * The scrape waits for the first response of a new VM, but never longer than this, whatever timeout is
 * configured.
 */
const MAX_MEETING_MS = 1000;

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
      timeoutMs: config()['qmp.timeoutSeconds'] * MILLISECONDS,
    });
    this.#sessions = new QmpSessions(host, qmp, now);
    const virsh = new Virsh();
    this.#libvirt = new Libvirt(
      () => ({
        uri: config()['libvirt.uri'],
        timeoutMs: config()['libvirt.timeoutSeconds'] * MILLISECONDS,
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
  async look(vms: readonly Vm[]): Promise<void> {
    if (!this.config()['collector.qmp']) return this.#sessions.close();
    this.#sessions.locate(vms, true);
    this.#remember(vms, [await this.#meet(vms, MAX_MEETING_MS)]);
  }

  /**
   * Sends the requests of a scrape. The responses arrive while the kernel's files are read.
   *
   * @param withinMs how long the scrape can wait for monitors, if less than the timeout per VM
   */
  async ask(vms: readonly Vm[], withinMs: number): Promise<Remotes> {
    const config = this.config();
    let qmp = Promise.resolve(NOTHING);
    if (config['collector.qmp']) {
      this.#sessions.locate(vms, false);
      const met = await this.#meet(vms, Math.min(withinMs, MAX_MEETING_MS));
      const others = vms.filter(({ key }) => !met.asked.has(key));
      qmp = this.#askMonitors(others, withinMs).then((result) => merged(met, result));
    } else this.#sessions.close();
    const managed = vms.filter(({ key, manager }) => manager === 'libvirt' && !this.#sessions.has(key));
    const libvirt = config['collector.libvirt'] ? this.#libvirt.ask(managed) : Promise.resolve(NOTHING);
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
      config['collector.libvirt'] ? this.#libvirt.ask(managed) : NOTHING,
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
      const said = results.map(({ statistics }) => statistics.get(key)).find((each) => each !== undefined);
      const known = said ?? this.#last.get(key);
      if (known !== undefined) last.set(key, known);
    }
    this.#last = last;
  }

  /** The first response of a VM identifies its threads, so the scrape waits for it once. */
  async #meet(vms: readonly Vm[], withinMs: number): Promise<RemoteResult> {
    const strangers = vms.filter(({ key }) => this.#sessions.isNew(key));
    return strangers.length > 0 ? this.#askMonitors(strangers, withinMs) : NOTHING;
  }

  async #askMonitors(vms: readonly Vm[], withinMs: number): Promise<RemoteResult> {
    const result = await this.#sessions.ask(vms, withinMs);
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
    asked: new Set([...a.asked, ...b.asked]),
    problems: [...a.problems, ...b.problems],
  };
}
