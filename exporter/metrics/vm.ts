import type { MetricDefinition } from './definition.ts';
import { blockDeviceLabels, vmInfoLabels, vmLabels, vmRoleLabels } from './label-sets.ts';

export const vmMetrics = {
  kvm_vm_info: {
    type: 'gauge',
    help: 'Who the VM is: its own name, its VMM, manager, accelerator and process. Always 1.',
    labels: vmInfoLabels,
    source: '/proc/<pid>/{fd,cmdline,exe}, libvirt state',
  },
  kvm_vm_start_time_seconds: {
    type: 'gauge',
    help: "Start time of the VM's process, in seconds of the epoch.",
    labels: vmLabels,
    source: '/proc/<pid>/stat, /proc/stat btime',
  },
  kvm_vm_vcpus: {
    type: 'gauge',
    help: 'vCPU threads that were recognised.',
    labels: vmLabels,
    source: '/proc/<pid>/task',
  },
  kvm_vm_threads: {
    type: 'gauge',
    help: 'Threads by role.',
    labels: vmRoleLabels,
    source: '/proc/<pid>/task',
  },
  kvm_vm_block_device_info: {
    type: 'gauge',
    help: "Which block devices carry the VM's disks: depth 0 is what the VMM has open or the file system of an image, 1 and more what lies under it. Always 1.",
    labels: blockDeviceLabels,
    source: '/proc/<pid>/{fd,fdinfo,mountinfo}, /sys/block/<disk>/slaves',
  },
} as const satisfies Record<string, MetricDefinition>;
