import type { Visibility } from '../model/visibility.ts';
import { hiddenInWords } from '../model/visibility-in-words.ts';
import type { Vm } from '../model/vm.ts';
import type { Inventory } from './inventory.ts';

/** The VMs of the last scan in the form of `/api/v1/inventory`. */
export function inventoryJson(
  inventory: Pick<Inventory, 'vms' | 'threadsOf'>,
  visibilityOf: (vm: Vm) => Visibility,
): object {
  const vms = inventory.vms.map((vm) => ({
    vm: vm.label,
    name: vm.name,
    uuid: vm.uuid,
    vmm: vm.vmm,
    manager: vm.manager,
    accel: vm.accel,
    machine: vm.machine,
    pid: vm.pid,
    blockDevices: vm.blockDevices,
    ...visibilityJson(visibilityOf(vm)),
    threads: [...inventory.threadsOf(vm)].map(({ tid, label, role }) => ({ tid, thread: label, role })),
  }));
  return { vms };
}

/** By `what` of kvm_vm_visibility: whether all of it is visible. Parts that were not examined are missing. */
function visibilityJson(visibility: Visibility): object {
  const visible = Object.fromEntries([...visibility].map(([what, hiders]) => [what, hiders.length === 0]));
  return { visible, hidden: hiddenInWords(visibility) };
}
