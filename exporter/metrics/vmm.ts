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
    help: "Where the VM's KVM statistics come from in this scrape: qmp, libvirt or debugfs. Always 1.",
    labels: vmSourceLabels,
    source: 'exporter',
  },
  kvm_vm_source_up: {
    type: 'gauge',
    help: 'Whether the VMM (qmp) or its manager (libvirt) answered for this VM in this scrape; 0 names a VM that is busy, migrating, hanging or shutting down.',
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
    help: 'Version of the QEMU that runs the VM, which may be older than the one installed. Always 1.',
    labels: vmVersionLabels,
    source: 'QMP query-version',
  },
  kvm_vm_disk_info: {
    type: 'gauge',
    help: 'What a disk is: image or host device, block driver, and the IOThreads that serve it (empty: the main loop). Always 1.',
    labels: vmDiskInfoLabels,
    source: 'QMP query-block, qom-get',
  },
  kvm_vm_disk_reads_completed_total: disk('counter', 'Reads completed, as the guest asked for them.'),
  kvm_vm_disk_reads_merged_total: disk('counter', 'Reads that QEMU merged.'),
  kvm_vm_disk_read_bytes_total: disk('counter', 'Bytes read.'),
  kvm_vm_disk_read_time_seconds_total: disk('counter', 'Time of all reads in QEMU, summed.'),
  kvm_vm_disk_writes_completed_total: disk('counter', 'Writes completed.'),
  kvm_vm_disk_writes_merged_total: disk('counter', 'Writes that QEMU merged.'),
  kvm_vm_disk_written_bytes_total: disk('counter', 'Bytes written.'),
  kvm_vm_disk_write_time_seconds_total: disk('counter', 'Time of all writes in QEMU, summed.'),
  kvm_vm_disk_flush_requests_total: disk('counter', 'Flushes completed.'),
  kvm_vm_disk_flush_requests_time_seconds_total: disk('counter', 'Time of all flushes in QEMU, summed.'),
  kvm_vm_disk_discards_completed_total: disk('counter', 'Discards completed.'),
  kvm_vm_disk_discards_merged_total: disk('counter', 'Discards that QEMU merged.'),
  kvm_vm_disk_discarded_bytes_total: disk('counter', 'Bytes discarded.'),
  kvm_vm_disk_discard_time_seconds_total: disk('counter', 'Time of all discards in QEMU, summed.'),
  kvm_vm_disk_failed_total: {
    type: 'counter',
    help: 'Operations that failed: read, write, flush or discard.',
    labels: vmDiskOperationLabels,
    source: 'QMP query-blockstats',
  },
  kvm_vm_disk_queues: disk('gauge', 'Virtqueues of the disk (num-queues).'),
  kvm_vm_disk_dedicated_iothread: disk(
    'gauge',
    '1 when no other disk shares an IOThread with this one, 0 when one does or the main loop serves it.',
  ),
  kvm_vm_disk_queue_iothread_info: {
    type: 'gauge',
    help: 'Which IOThread serves a virtqueue. Always 1.',
    labels: vmDiskQueueLabels,
    source: 'QMP qom-get',
  },
  kvm_iothread_poll_max_seconds: iothread(
    'Longest time of one busy poll (poll-max-ns); 0 when polling is off.',
  ),
  kvm_iothread_poll_grow: iothread("Factor by which the polling time grows (poll-grow); 0 is QEMU's choice."),
  kvm_iothread_poll_shrink: iothread(
    'Divisor by which the polling time shrinks (poll-shrink); 0 lets it fall to nothing.',
  ),
  kvm_iothread_aio_max_batch: iothread("Requests in one batch (aio-max-batch); 0 is the engine's choice."),
} as const satisfies Record<string, MetricDefinition>;

function halt(help: string) {
  const derived = sum('over vCPUs, bucket by bucket');
  return { type: 'histogram', help, labels: vmLabels, source: 'QMP query-stats', derived } as const;
}

export const histogramMetrics = {
  kvm_vm_halt_poll_success_duration_seconds: halt(
    'How long KVM polled at a halt until the awaited event came.',
  ),
  kvm_vm_halt_poll_fail_duration_seconds: halt('How long KVM polled at a halt in vain.'),
  kvm_vm_halt_wait_duration_seconds: halt('How long vCPUs were blocked in halt.'),
  kvm_vm_disk_duration_seconds: {
    type: 'histogram',
    help: 'Latency of disk operations where QEMU was asked to keep it (block-latency-histogram-set).',
    labels: vmDiskOperationLabels,
    source: 'QMP query-blockstats',
  },
} as const satisfies Record<string, MetricDefinition>;
