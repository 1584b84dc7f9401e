import type { Inventory } from './inventory.ts';

/** The VMs of the last scan in the form of `/api/v1/inventory`. */
export function inventoryJson(inventory: Pick<Inventory, 'vms' | 'threadsOf'>): object {
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
    threads: [...inventory.threadsOf(vm)].map(({ tid, label, role }) => ({ tid, thread: label, role })),
  }));
  return { vms };
}
