import { choice, growth, type MetricDefinition } from './definition.ts';
import {
  deviceDirectionLabels,
  deviceInfoLabels,
  deviceLabels,
  hardwareQueueLabels,
  nvmeQueueAffinityLabels,
  nvmeQueueLabels,
} from './label-sets.ts';

const STAT = choice(
  "a multipath disk's own, or the sum over its paths where the kernel does not count for it",
);
const TIME = growth(`of milliseconds modulo 2^32; ${STAT.how}`);

function stat<T extends 'counter' | 'gauge'>(type: T, help: string) {
  return { type, help, labels: deviceLabels, source: '/sys/block/<disk>/stat', derived: STAT } as const;
}

function time(help: string) {
  return { ...stat('counter', help), derived: TIME } as const;
}

export const blockMetrics = {
  kvm_block_info: {
    type: 'gauge',
    help: 'Properties of the block device: its NVMe controllers, whether it is physical, and its queue settings. If the paths of a multipath disk differ in a setting, its label is empty, and each path has a series. Always 1.',
    labels: deviceInfoLabels,
    source: '/sys/block/<disk>, /sys/block/<disk>/queue',
  },
  kvm_block_reads_completed_total: stat('counter', 'Reads completed.'),
  kvm_block_reads_merged_total: stat('counter', 'Reads merged with a queued request.'),
  kvm_block_read_bytes_total: stat('counter', 'Bytes read.'),
  kvm_block_read_time_seconds_total: time('Total time spent by all reads.'),
  kvm_block_writes_completed_total: stat('counter', 'Writes completed.'),
  kvm_block_writes_merged_total: stat('counter', 'Writes merged with a queued request.'),
  kvm_block_written_bytes_total: stat('counter', 'Bytes written.'),
  kvm_block_write_time_seconds_total: time('Total time spent by all writes.'),
  kvm_block_io_time_seconds_total: time('Time with at least one request in flight.'),
  kvm_block_io_time_weighted_seconds_total: time(
    'Time with requests in flight, weighted by the number of requests in flight.',
  ),
  kvm_block_discards_completed_total: stat('counter', 'Discards completed.'),
  kvm_block_discards_merged_total: stat('counter', 'Discards merged with a queued request.'),
  kvm_block_discarded_bytes_total: stat('counter', 'Bytes discarded.'),
  kvm_block_discard_time_seconds_total: time('Total time spent by all discards.'),
  kvm_block_flush_requests_total: stat('counter', 'Flushes completed.'),
  kvm_block_flush_requests_time_seconds_total: time('Total time spent by all flushes.'),
  kvm_block_io_now: {
    type: 'gauge',
    help: 'Requests in flight, by direction.',
    labels: deviceDirectionLabels,
    source: '/sys/block/<disk>/inflight',
  },
  kvm_block_numa_node: {
    type: 'gauge',
    help: 'NUMA node of the device. Absent if the firmware does not report one. If the paths of a multipath disk are on different nodes, each path has a series.',
    labels: deviceLabels,
    source: '/sys/block/<disk>/device/numa_node',
  },
  kvm_block_queue_requests: {
    type: 'gauge',
    help: 'Maximum number of requests in one queue (nr_requests).',
    labels: deviceLabels,
    source: '/sys/block/<disk>/queue/nr_requests',
  },
  kvm_block_queue_io_poll: {
    type: 'gauge',
    help: '1 if the device supports polling for completions (io_poll).',
    labels: deviceLabels,
    source: '/sys/block/<disk>/queue/io_poll',
  },
  kvm_block_hardware_queues: {
    type: 'gauge',
    help: 'Hardware queues.',
    labels: deviceLabels,
    source: '/sys/block/<disk>/mq',
  },
  kvm_block_hardware_queue_info: {
    type: 'gauge',
    help: 'CPUs that submit to the hardware queue. Always 1.',
    labels: hardwareQueueLabels,
    source: '/sys/block/<disk>/mq/<N>/cpu_list',
  },
  kvm_nvme_queue_interrupts_total: {
    type: 'counter',
    help: 'Interrupts of the NVMe queue. Queue 0 is the admin queue.',
    labels: nvmeQueueLabels,
    source: '/proc/interrupts',
    derived: growth('of each CPU modulo 2^32, summed; a line that several queues share counts for each'),
  },
  kvm_nvme_queue_affinity_info: {
    type: 'gauge',
    help: "CPUs to which the queue's interrupt is delivered. Always 1.",
    labels: nvmeQueueAffinityLabels,
    source: '/proc/irq/<irq>/effective_affinity_list',
  },
} as const satisfies Record<string, MetricDefinition>;
