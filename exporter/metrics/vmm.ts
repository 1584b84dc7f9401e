import { choice, type MetricDefinition, sum } from './definition.ts';
import {
  iothreadLabels,
  vmDiskInfoLabels,
  vmDiskLabels,
  vmDiskOperationLabels,
  vmDiskQueueLabels,
  vmLabels,
  vmSourceLabels,
  vmStateLabels,
  vmVersionLabels,
} from './label-sets.ts';

const VMM = choice('goes on by its growth where the other source takes over');

function disk<T extends 'counter' | 'gauge'>(type: T, help: string) {
  const definition = {
    type,
    help,
    labels: vmDiskLabels,
    source: 'QMP query-blockstats, virsh domstats',
  } as const;
  return type === 'counter' ? ({ ...definition, derived: VMM } as const) : definition;
}

function iothread(help: string) {
  return {
    type: 'gauge',
    help,
    labels: iothreadLabels,
    source: 'QMP query-iothreads, virsh domstats',
  } as const;
}

/** Metrics from the VMM itself. */
export const vmmMetrics = {
  kvm_vm_source_info: {
    type: 'gauge',
    help: "Source of the VM's KVM statistics in this scrape: bpf, qmp, libvirt or debugfs. Always 1.",
    labels: vmSourceLabels,
    source: 'exporter',
  },
  kvm_vm_source_up: {
    type: 'gauge',
    help: '1 if the kernel (bpf), the VMM (qmp) or its manager (libvirt) responded for this VM in this scrape. 0 if not, for example because the VM is busy, migrating, hanging or shutting down.',
    labels: vmSourceLabels,
    source: 'exporter',
  },
  kvm_vm_state_info: {
    type: 'gauge',
    help: "QEMU's run state: running, paused, inmigrate, ... Always 1.",
    labels: vmStateLabels,
    source: 'QMP query-status, virsh domstats',
  },
  kvm_vm_qemu_version_info: {
    type: 'gauge',
    help: 'Version of the QEMU process of the VM, which can be older than the installed QEMU. Always 1.',
    labels: vmVersionLabels,
    source: 'QMP query-version',
  },
  kvm_vm_disk_info: {
    type: 'gauge',
    help: 'Properties of a disk: image or host device, block driver, and the IOThreads that serve it (empty: the main loop). Always 1.',
    labels: vmDiskInfoLabels,
    source: 'QMP query-block, qom-get',
  },
  kvm_vm_disk_reads_completed_total: disk('counter', 'Reads completed, as issued by the guest.'),
  kvm_vm_disk_reads_merged_total: disk('counter', 'Reads that QEMU merged.'),
  kvm_vm_disk_read_bytes_total: disk('counter', 'Bytes read.'),
  kvm_vm_disk_read_time_seconds_total: disk('counter', 'Total time spent by all reads in QEMU.'),
  kvm_vm_disk_writes_completed_total: disk('counter', 'Writes completed.'),
  kvm_vm_disk_writes_merged_total: disk('counter', 'Writes that QEMU merged.'),
  kvm_vm_disk_written_bytes_total: disk('counter', 'Bytes written.'),
  kvm_vm_disk_write_time_seconds_total: disk('counter', 'Total time spent by all writes in QEMU.'),
  kvm_vm_disk_flush_requests_total: disk('counter', 'Flushes completed.'),
  kvm_vm_disk_flush_requests_time_seconds_total: disk('counter', 'Total time spent by all flushes in QEMU.'),
  kvm_vm_disk_discards_completed_total: disk('counter', 'Discards completed.'),
  kvm_vm_disk_discards_merged_total: disk('counter', 'Discards that QEMU merged.'),
  kvm_vm_disk_discarded_bytes_total: disk('counter', 'Bytes discarded.'),
  kvm_vm_disk_discard_time_seconds_total: disk('counter', 'Total time spent by all discards in QEMU.'),
  kvm_vm_disk_failed_total: {
    type: 'counter',
    help: 'Failed operations, by operation: read, write, flush or discard.',
    labels: vmDiskOperationLabels,
    source: 'QMP query-blockstats',
  },
  kvm_vm_disk_queues: disk('gauge', 'Number of virtqueues of the disk (num-queues).'),
  kvm_vm_disk_dedicated_iothread: disk(
    'gauge',
    '1 if the disk shares its IOThreads with no other disk. 0 if it shares one or if the main loop serves it.',
  ),
  kvm_vm_disk_queue_iothread_info: {
    type: 'gauge',
    help: 'IOThread that serves the virtqueue. Always 1.',
    labels: vmDiskQueueLabels,
    source: 'QMP qom-get',
  },
  kvm_iothread_poll_max_seconds: iothread('Longest busy poll (poll-max-ns). 0 if polling is off.'),
  kvm_iothread_poll_grow: iothread(
    "Factor by which the polling time grows (poll-grow). 0 selects QEMU's default.",
  ),
  kvm_iothread_poll_shrink: iothread(
    'Divisor by which the polling time shrinks (poll-shrink). 0 resets the polling time to 0.',
  ),
  kvm_iothread_aio_max_batch: iothread(
    "Maximum number of requests in one batch (aio-max-batch). 0 selects the AIO engine's default.",
  ),
} as const satisfies Record<string, MetricDefinition>;

function halt(help: string) {
  const derived = sum('over vCPUs, bucket by bucket');
  return { type: 'histogram', help, labels: vmLabels, source: 'BPF, QMP query-stats', derived } as const;
}

export const histogramMetrics = {
  kvm_vm_halt_poll_success_duration_seconds: halt('Duration of halt polls that ended with an event.'),
  kvm_vm_halt_poll_fail_duration_seconds: halt('Duration of halt polls that found no event.'),
  kvm_vm_halt_wait_duration_seconds: halt('Time that vCPUs were blocked in halt.'),
  kvm_vm_disk_duration_seconds: {
    type: 'histogram',
    help: 'Latency of disk operations. Only for disks with a histogram set in QEMU (block-latency-histogram-set).',
    labels: vmDiskOperationLabels,
    source: 'QMP query-blockstats',
  },
} as const satisfies Record<string, MetricDefinition>;
