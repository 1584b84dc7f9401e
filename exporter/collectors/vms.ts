import { USER_HZ } from '../../kernel/units.ts';
import type { VmMetadata } from '../../probes/libvirt-metadata.ts';
import { readBootTime } from '../../probes/proc-stat.ts';
import type { Families } from '../metrics/families.ts';
import { type Visibility, visibilityOf } from '../model/visibility.ts';
import { truncateName } from '../model/vm-names.ts';
import type { Collector } from './collector.ts';

/** Identity of the VMs: `kvm_vm_info` and the metrics that join with it. */
export const vms: Collector = {
  name: 'vms',
  collect({ host, families, vms, kernel, settings }) {
    for (const vm of vms) {
      const { label, name, uuid, vmm, manager, accel, machine, pid } = vm;
      families.add('kvm_vm_info', { vm: label, name, uuid, vmm, manager, accel, machine, pid }, 1);
      for (const { device, depth } of vm.blockDevices) {
        families.add('kvm_vm_block_device_info', { vm: vm.label, device, depth }, 1);
      }
    }
    for (const { label: vm, metadata } of vms) addMetadata(families, vm, metadata, settings.metadataLabels);
    for (const vm of vms) addVisibility(families, vm.label, visibilityOf(vm, kernel.statistics.get(vm.key)));
    const bootTime = readBootTime(host);
    for (const vm of vms) {
      families.add('kvm_vm_start_time_seconds', { vm: vm.label }, bootTime + vm.startTime / USER_HZ);
    }
  },
};

function addMetadata(
  families: Families,
  vm: string,
  metadata: VmMetadata | undefined,
  allowed: ReadonlySet<string>,
): void {
  if (metadata === undefined) return;
  const shown = (label: keyof VmMetadata): string =>
    allowed.has(label) ? truncateName(metadata[label]) : '';
  const labels = { tenant: shown('tenant'), project: shown('project'), flavor: shown('flavor') };
  if (Object.values(labels).some((value) => value !== ''))
    families.add('kvm_vm_metadata_info', { vm, ...labels }, 1);
}

function addVisibility(families: Families, vm: string, visibility: Visibility): void {
  for (const [what, hiders] of visibility) {
    if (hiders.length === 0) families.add('kvm_vm_visibility', { vm, what, reason: '' }, 1);
    for (const reason of hiders) families.add('kvm_vm_visibility', { vm, what, reason }, 0);
  }
}
