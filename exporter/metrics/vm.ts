import type { MetricDefinition } from './definition.ts';
import { blockDeviceLabels, vmInfoLabels, vmLabels, vmRoleLabels } from './label-sets.ts';

export const vmMetrics = {
  kvm_vm_info: {
    type: 'gauge',
    help: 'Identity of the VM: name, UUID, VMM, manager, accelerator, machine type and process. Always 1.',
    labels: vmInfoLabels,
    source: '/proc/<pid>/{fd,cmdline,exe}, libvirt state',
  },
  kvm_vm_start_time_seconds: {
    type: 'gauge',
    help: "Start time of the VM's process as Unix time in seconds.",
    labels: vmLabels,
    source: '/proc/<pid>/stat, /proc/stat btime',
  },
  kvm_vm_vcpus: {
    type: 'gauge',
    help: 'Number of vCPU threads found.',
    labels: vmLabels,
    source: '/proc/<pid>/task',
  },
  kvm_vm_threads: {
    type: 'gauge',
    help: 'Number of threads, by role.',
    labels: vmRoleLabels,
    source: '/proc/<pid>/task',
  },
  kvm_vm_block_device_info: {
    type: 'gauge',
    help: "Block devices under the VM's disks. Depth 0 is the device that the VMM has open or that holds the image's file system, 1 and more are the devices below it. Always 1.",
    labels: blockDeviceLabels,
    source: '/proc/<pid>/{fd,fdinfo,mountinfo}, /sys/block/<disk>/slaves',
  },
} as const satisfies Record<string, MetricDefinition>;
