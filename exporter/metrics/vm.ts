import { gauge } from './definition.ts';

/** What `--metadata.labels` may allow. */
export const METADATA_LABELS = ['tenant', 'project', 'flavor', 'tags'] as const;

export const vmMetrics = {
  kvm_vm_info: gauge(
    ['vm', 'name', 'uuid', 'vmm', 'manager', 'accel', 'machine', 'pid'],
    'Identity of the VM: name, UUID, VMM, manager, accelerator, machine type and process. Always 1.',
    '/proc/<pid>/{fd,cmdline,exe}, libvirt state',
  ),
  kvm_vm_metadata_info: gauge(
    ['vm', ...METADATA_LABELS],
    'Tenant, project and flavor of the VM, and its tags in Proxmox VE (sorted, separated by commas), to be joined by vm. Only the labels that metadata.labels allows have a value. Always 1.',
    '/run/libvirt/qemu/<name>.xml <metadata>, /etc/pve/qemu-server/<vmid>.conf',
  ),
  kvm_vm_start_time_seconds: gauge(
    ['vm'],
    "Start time of the VM's process as Unix time in seconds.",
    '/proc/<pid>/stat, /proc/stat btime',
  ),
  kvm_vm_vcpus: gauge(['vm'], 'Number of vCPU threads found.', 'BPF, /proc/<pid>/task'),
  kvm_vm_threads: gauge(['vm', 'role'], 'Number of threads, by role.', 'BPF, /proc/<pid>/task'),
  kvm_vm_visibility: gauge(
    ['vm', 'what', 'reason'],
    "1 if the host sees this aspect (what) of all of the VM's I/O, 0 if something (reason) hides it or may hide it. No series if not examined. docs/verdicts.md lists both labels.",
    '/proc/<pid>/{cmdline,fd}, /sys/kernel/iommu_groups, BPF: kvm_arch.vm_type, kvm.ioeventfds, kvm_vcpu_arch.msr_kvm_poll_control',
  ),
  kvm_vm_block_device_info: gauge(
    ['vm', 'device', 'depth'],
    "Block devices under the VM's disks. Depth 0 is the device that the VMM has open or that holds the image's file system, 1 and more are the devices below it. Always 1.",
    '/proc/<pid>/{fd,fdinfo,mountinfo}, /sys/block/<disk>/slaves',
  ),
} as const;
