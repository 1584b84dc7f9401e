import { USER_HZ } from '../../kernel/units.ts';
import { readBootTime } from '../../probes/proc-stat.ts';
import { blockDeviceLabels, vmInfoLabels, vmLabels } from '../metrics/label-sets.ts';
import { labelBlock } from '../metrics/labels.ts';
import type { Collector } from './collector.ts';

/** Identity of the VMs: `kvm_vm_info` and the metrics that join with it. */
export const vms: Collector = {
  name: 'vms',
  collect({ host, families, vms }) {
    for (const vm of vms) {
      families.add(
        'kvm_vm_info',
        labelBlock(vmInfoLabels, [
          vm.label,
          vm.name,
          vm.uuid,
          vm.vmm,
          vm.manager,
          vm.accel,
          vm.machine,
          String(vm.pid),
        ]),
        1,
      );
      for (const { device, depth } of vm.blockDevices) {
        families.add(
          'kvm_vm_block_device_info',
          labelBlock(blockDeviceLabels, [vm.label, device, String(depth)]),
          1,
        );
      }
    }
    const bootTime = readBootTime(host);
    for (const vm of vms) {
      const labels = labelBlock(vmLabels, [vm.label]);
      families.add('kvm_vm_start_time_seconds', labels, bootTime + vm.startTime / USER_HZ);
    }
  },
};
