import { USER_HZ } from '../../kernel/units.ts';
import type { VmMetadata } from '../../probes/libvirt-metadata.ts';
import { readBootTime } from '../../probes/proc-stat.ts';
import type { Families } from '../metrics/families.ts';
import { type Visibility, visibilityOf } from '../model/visibility.ts';
import { truncateName } from '../model/vm-names.ts';
import { type Collector, guarded } from './collector.ts';
import { PveTags } from './pve-tags.ts';

/** Identity of the VMs: `kvm_vm_info` and the metrics that join with it. */
export function vms(): Collector {
  const pveTags = new PveTags();
  return {
    name: 'vms',
    collect({ host, families, vms, kernel, settings }, report) {
      for (const vm of vms) {
        const { label, name, uuid, vmm, manager, accel, machine, pid } = vm;
        families.add('kvm_vm_info', { vm: label, name, uuid, vmm, manager, accel, machine, pid }, 1);
        for (const { device, depth } of vm.blockDevices) {
          families.add('kvm_vm_block_device_info', { vm: vm.label, device, depth }, 1);
        }
      }
      if (settings.metadataLabels.has('tags')) {
        guarded('/proc/uptime', report, () => pveTags.refresh(host, vms));
        if (pveTags.problem !== undefined) report(pveTags.problem);
      }
      for (const vm of vms) {
        const metadata = { ...vm.metadata, tags: pveTags.of(vm) };
        addMetadata(families, vm.label, metadata, settings.metadataLabels);
      }
      for (const vm of vms)
        addVisibility(families, vm.label, visibilityOf(vm, kernel.statistics.get(vm.key)));
      const bootTime = readBootTime(host);
      for (const vm of vms) {
        families.add('kvm_vm_start_time_seconds', { vm: vm.label }, bootTime + vm.startTime / USER_HZ);
      }
    },
  };
}

type Metadata = Partial<VmMetadata> & { readonly tags: string | undefined };

function addMetadata(families: Families, vm: string, metadata: Metadata, allowed: ReadonlySet<string>): void {
  const shown = (label: keyof Metadata): string =>
    allowed.has(label) ? truncateName(metadata[label] ?? '') : '';
  const labels = {
    tenant: shown('tenant'),
    project: shown('project'),
    flavor: shown('flavor'),
    tags: shown('tags'),
  };
  if (Object.values(labels).some((value) => value !== ''))
    families.add('kvm_vm_metadata_info', { vm, ...labels }, 1);
}

function addVisibility(families: Families, vm: string, visibility: Visibility): void {
  for (const [what, hiders] of visibility) {
    if (hiders.length === 0) families.add('kvm_vm_visibility', { vm, what, reason: '' }, 1);
    for (const reason of hiders) families.add('kvm_vm_visibility', { vm, what, reason }, 0);
  }
}
