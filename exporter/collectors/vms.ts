import { USER_HZ } from '../../kernel/units.ts';
import { readBootTime } from '../../probes/proc-stat.ts';
import type { Collector } from './collector.ts';

/** Identity of the VMs: `kvm_vm_info` and the metrics that join with it. */
export const vms: Collector = {
  name: 'vms',
  collect({ host, families, vms }) {
    for (const vm of vms) {
      const { label, name, uuid, vmm, manager, accel, machine, pid } = vm;
      families.add('kvm_vm_info', { vm: label, name, uuid, vmm, manager, accel, machine, pid }, 1);
      for (const { device, depth } of vm.blockDevices) {
        families.add('kvm_vm_block_device_info', { vm: vm.label, device, depth }, 1);
      }
    }
    const bootTime = readBootTime(host);
    for (const vm of vms) {
      families.add('kvm_vm_start_time_seconds', { vm: vm.label }, bootTime + vm.startTime / USER_HZ);
    }
  },
};
