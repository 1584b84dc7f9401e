import type { HostEvent } from '../model/host-event.ts';
import type { Vm, VmThread } from '../model/vm.ts';

/** The thread that sends a VM's memory: migration/migration.c, its name since QEMU 9.1 and before. */
const SENDS = /^(?:mig\/src\/main|live_migration)$/;

/** Notices when QEMU sends a VM to another host, which logs dirty pages at the cost of exits. QEMU names its threads with debug-threads=on. */
export class MigrationWatch {
  #known: ReadonlyMap<string, boolean> = new Map();

  /** @param threadsOf the threads as last observed */
  changes(vms: readonly Vm[], threadsOf: (vm: Vm) => Iterable<VmThread>): HostEvent[] {
    const next = new Map<string, boolean>();
    const events: HostEvent[] = [];
    for (const vm of vms) {
      const before = this.#known.get(vm.key);
      const isSent = [...threadsOf(vm)].some(({ comm }) => SENDS.test(comm));
      next.set(vm.key, isSent);
      if (before !== undefined && before !== isSent)
        events.push({
          kind: isSent ? 'migration_began' : 'migration_ended',
          vm: vm.label,
          what: '',
          evidence: '',
        });
    }
    this.#known = next;
    return events;
  }
}
