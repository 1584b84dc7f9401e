import { counter, gauge } from './definition.ts';

const MIGRATION = 'QMP query-migrate or virsh domjobinfo';

export const memoryMetrics = {
  kvm_vm_memory_resident_bytes: gauge(
    ['vm'],
    "Memory of the VM's process that is in RAM, without hugetlbfs.",
    '/proc/<pid>/status VmRSS',
  ),
  kvm_vm_memory_swapped_bytes: gauge(
    ['vm'],
    "Memory of the VM's process that is in swap. The guest waits for the disk when it touches it.",
    '/proc/<pid>/status VmSwap',
  ),
  kvm_vm_memory_huge_bytes: gauge(
    ['vm', 'kind'],
    "Memory of the VM's process in huge pages. kind: hugetlb (reserved), transparent (updated every ten minutes or more).",
    '/proc/<pid>/status HugetlbPages, /proc/<pid>/smaps_rollup',
  ),
  kvm_vm_memory_balloon_actual_bytes: gauge(
    ['vm'],
    'Memory of the guest less its balloon. Absent without a balloon device.',
    'QMP query-balloon',
  ),
  kvm_vm_numa_pages_migrated_total: counter(
    ['vm'],
    'Pages that NUMA balancing moved to another node for vCPUs and I/O threads. Absent without CONFIG_NUMA_BALANCING.',
    '/proc/<pid>/task/<tid>/sched',
    { kind: 'sum', how: 'over threads; it keeps the counts of threads that ended' },
  ),
  kvm_vm_migration_info: gauge(
    ['vm', 'direction', 'status'],
    "QEMU's status of the VM's last live migration: setup, active, postcopy-active, completed, failed, ... direction: outgoing or incoming. Absent if this process took part in none. Always 1.",
    MIGRATION,
  ),
  kvm_vm_migration_total_bytes: gauge(
    ['vm'],
    'Memory to migrate. Like the other numbers of a migration, only at its source and while it runs.',
    MIGRATION,
  ),
  kvm_vm_migration_transferred_bytes: gauge(
    ['vm'],
    'Memory that was sent in this live migration.',
    MIGRATION,
  ),
  kvm_vm_migration_remaining_bytes: gauge(['vm'], 'Memory that remains to be sent.', MIGRATION),
  kvm_vm_migration_dirty_bytes_per_second: gauge(
    ['vm'],
    'Rate at which the guest writes to memory again during a live migration. Above the rate of sending, the migration cannot end. Absent until QEMU has measured it, at the end of the first pass over the memory; from libvirt also while it is 0.',
    MIGRATION,
  ),
  kvm_vm_migration_sent_bytes_per_second: gauge(['vm'], 'Rate of sending.', MIGRATION),
  kvm_vm_migration_expected_downtime_seconds: gauge(
    ['vm'],
    'Pause of the guest that QEMU expects at the end. Absent until QEMU has estimated it.',
    MIGRATION,
  ),
  kvm_host_swapped_pages_total: counter(
    ['direction'],
    'Pages that the host swapped. direction: in or out.',
    '/proc/vmstat pswpin, pswpout',
  ),
  kvm_host_numa_pages_migrated_total: counter(
    [],
    'Pages that NUMA balancing moved on the host. Absent without CONFIG_NUMA_BALANCING.',
    '/proc/vmstat numa_pages_migrated',
  ),
} as const;
