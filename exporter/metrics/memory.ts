import { counter } from './definition.ts';

export const memoryMetrics = {
  kvm_vm_numa_pages_migrated_total: counter(
    ['vm'],
    'Pages that NUMA balancing moved to another node for vCPUs and I/O threads. Absent without CONFIG_NUMA_BALANCING.',
    '/proc/<pid>/task/<tid>/sched',
    { kind: 'sum', how: 'of threads: what one had stays after it ends' },
  ),
} as const;
