import { choice, counter, gauge, growth } from './definition.ts';

const STAT = choice('for a multipath disk its own counter, or the sum over its paths if the kernel has none');
const TIME = growth(`of milliseconds modulo 2^32; ${STAT.how}`);

const stat = (help: string) => counter(['device'], help, '/sys/block/<disk>/stat', STAT);
const time = (help: string) => counter(['device'], help, '/sys/block/<disk>/stat', TIME);

export const blockMetrics = {
  kvm_block_info: gauge(
    ['device', 'controller', 'physical', 'scheduler', 'write_cache', 'rotational'],
    'Properties of the block device: its NVMe controllers, whether it is physical, and its queue settings. If the paths of a multipath disk differ in a setting, its label is empty, and each path has a series. Always 1.',
    '/sys/block/<disk>, /sys/block/<disk>/queue',
  ),
  kvm_block_reads_completed_total: stat('Reads completed.'),
  kvm_block_reads_merged_total: stat('Reads merged with a queued request.'),
  kvm_block_read_bytes_total: stat('Bytes read.'),
  kvm_block_read_time_seconds_total: time('Total time spent by all reads.'),
  kvm_block_writes_completed_total: stat('Writes completed.'),
  kvm_block_writes_merged_total: stat('Writes merged with a queued request.'),
  kvm_block_written_bytes_total: stat('Bytes written.'),
  kvm_block_write_time_seconds_total: time('Total time spent by all writes.'),
  kvm_block_io_time_seconds_total: time('Time with at least one request in flight.'),
  kvm_block_io_time_weighted_seconds_total: time(
    'Time with requests in flight, weighted by the number of requests in flight.',
  ),
  kvm_block_discards_completed_total: stat('Discards completed.'),
  kvm_block_discards_merged_total: stat('Discards merged with a queued request.'),
  kvm_block_discarded_bytes_total: stat('Bytes discarded.'),
  kvm_block_discard_time_seconds_total: time('Total time spent by all discards.'),
  kvm_block_flush_requests_total: stat('Flushes completed.'),
  kvm_block_flush_requests_time_seconds_total: time('Total time spent by all flushes.'),
  kvm_block_io_now: gauge(
    ['device', 'direction'],
    'Requests in flight, by direction.',
    '/sys/block/<disk>/inflight',
  ),
  kvm_block_numa_node: gauge(
    ['device'],
    'NUMA node of the device. Absent if the firmware does not report one. If the paths of a multipath disk are on different nodes, each path has a series.',
    '/sys/block/<disk>/device/numa_node',
  ),
  kvm_block_queue_requests: gauge(
    ['device'],
    'Maximum number of requests in one queue (nr_requests).',
    '/sys/block/<disk>/queue/nr_requests',
  ),
  kvm_block_queue_io_poll: gauge(
    ['device'],
    '1 if the device supports polling for completions (io_poll).',
    '/sys/block/<disk>/queue/io_poll',
  ),
  kvm_block_hardware_queues: gauge(['device'], 'Hardware queues.', '/sys/block/<disk>/mq'),
  kvm_block_hardware_queue_info: gauge(
    ['device', 'queue', 'cpus'],
    'CPUs that submit to the hardware queue. Always 1.',
    '/sys/block/<disk>/mq/<N>/cpu_list',
  ),
  kvm_nvme_queue_interrupts_total: counter(
    ['controller', 'queue'],
    'Interrupts of the NVMe queue. Queue 0 is the admin queue.',
    '/proc/interrupts',
    growth('of each CPU modulo 2^32, summed; a line that several queues share counts for each'),
  ),
  kvm_nvme_queue_affinity_info: gauge(
    ['controller', 'queue', 'cpus'],
    "CPUs to which the queue's interrupt is delivered. Always 1.",
    '/proc/irq/<irq>/effective_affinity_list',
  ),
} as const;
