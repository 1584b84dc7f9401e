import type { Host } from '../probes/host.ts';
import type { Config } from './config/options.ts';
import type { Inventory } from './inventory/inventory.ts';
import { Libvirt } from './libvirt/libvirt.ts';
import { domstats } from './libvirt/virsh.ts';
import { NOTHING, type RemoteResult } from './model/remote.ts';
import type { Vm } from './model/vm.ts';
import { QmpSessions } from './qmp/sessions.ts';
import type { Remotes } from './scrape.ts';

const MILLISECONDS = 1e3;

/** VMMs and managers that know more of a VM than the kernel's files tell: which of them answers for which VM. */
export class RemoteSources {
  readonly #sessions: QmpSessions;
  readonly #libvirt: Libvirt;

  constructor(
    host: Host,
    private readonly inventory: Inventory,
    private readonly config: () => Config,
  ) {
    this.#sessions = new QmpSessions(host, () => ({
      rules: {
        pattern: config()['qmp.sockets'],
        directories: config()['qmp.directories'].split(','),
        rootfs: config()['path.rootfs'],
      },
      timeoutMs: config()['qmp.timeoutSeconds'] * MILLISECONDS,
    }));
    this.#libvirt = new Libvirt(
      () => ({
        uri: config()['libvirt.uri'],
        timeoutMs: config()['libvirt.timeoutSeconds'] * MILLISECONDS,
      }),
      domstats,
    );
  }

  /** Looks for monitors of all VMs, and asks those that were never asked, so that threads are known by them. */
  async look(vms: readonly Vm[]): Promise<void> {
    if (!this.config()['collector.qmp']) return this.#sessions.close();
    this.#sessions.locate(vms, true);
    await this.#meet(vms);
  }

  /** Puts the questions of a scrape; the answers come while the kernel's files are read. */
  async ask(vms: readonly Vm[]): Promise<Remotes> {
    const config = this.config();
    if (config['collector.qmp']) {
      this.#sessions.locate(vms, false);
      await this.#meet(vms);
    }
    const qmp = config['collector.qmp'] ? this.#askMonitors(vms) : Promise.resolve(NOTHING);
    const managed = vms.filter(({ key, manager }) => manager === 'libvirt' && !this.#sessions.has(key));
    const libvirt = config['collector.libvirt'] ? this.#libvirt.ask(managed) : Promise.resolve(NOTHING);
    return { qmp, libvirt, versionOf: ({ key }) => this.#sessions.versionOf(key) };
  }

  close(): void {
    this.#sessions.close();
  }

  /** A VM's first answer tells which thread is which: worth waiting for, once. */
  async #meet(vms: readonly Vm[]): Promise<void> {
    const strangers = vms.filter(({ key }) => this.#sessions.isNew(key));
    if (strangers.length > 0) await this.#askMonitors(strangers);
  }

  async #askMonitors(vms: readonly Vm[]): Promise<RemoteResult> {
    const result = await this.#sessions.ask(vms);
    for (const { key } of vms) {
      const hints = this.#sessions.hintsOf(key);
      if (hints !== undefined) this.inventory.hint(key, hints);
    }
    return result;
  }
}
