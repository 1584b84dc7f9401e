import type { Families } from '../metrics/families.ts';
import {
  iothreadLabels,
  vcpuLabels,
  vmDiskInfoLabels,
  vmDiskLabels,
  vmDiskQueueLabels,
  vmLabels,
  vmSourceLabels,
  vmStateLabels,
} from '../metrics/label-sets.ts';
import { labelBlock, withLabel } from '../metrics/labels.ts';
import {
  type Disk,
  type DiskOperation,
  fromLog2,
  type Iothread,
  sumOverVcpus,
  type VmStatistics,
} from '../model/vm-statistics.ts';
import type { StatisticMetrics } from './statistic-metrics.ts';

/** KVM's log2 histograms and the statistic that is their sum, in nanoseconds. */
const HISTOGRAMS = [
  ['halt_poll_success_hist', 'kvm_vm_halt_poll_success_duration_seconds', 'halt_poll_success_ns'],
  ['halt_poll_fail_hist', 'kvm_vm_halt_poll_fail_duration_seconds', 'halt_poll_fail_ns'],
  ['halt_wait_hist', 'kvm_vm_halt_wait_duration_seconds', 'halt_wait_ns'],
] as const;

const NANOSECONDS = 1e9;

/** What of a vCPU is worth a series of its own by default: its exits, its interrupts, its halts. */
const ESSENTIAL: ReadonlySet<string> = new Set([
  'exits',
  'io_exits',
  'mmio_exits',
  'halt_exits',
  'irq_exits',
  'irq_injections',
  'irq_window_exits',
  'signal_exits',
  'hypercalls',
  'insn_emulation',
  'halt_attempted_poll',
  'halt_successful_poll',
  'halt_poll_success_ns',
  'halt_poll_fail_ns',
  'halt_wait_ns',
  'halt_wakeup',
  'preemption_other',
  'preemption_reported',
]);

export interface StatisticsOptions {
  /** Every statistic of each vCPU, not only the essential ones. */
  readonly allVcpuStatistics: boolean;
}

/**
 * Writes what a VMM said of one VM.
 *
 * @returns names of the statistics written for the VM, which no other source may give in this scrape
 */
export function addStatistics(
  families: Families,
  metrics: StatisticMetrics,
  vm: string,
  statistics: VmStatistics,
  options: StatisticsOptions,
): Set<string> {
  const given = new Set<string>();
  const labels = labelBlock(vmLabels, [vm]);
  const totals = sumOverVcpus(statistics);
  for (const source of [totals, statistics.vm]) {
    for (const [name, value] of source) {
      const metric = metrics.of('vm', name, statistics.types.get(name) ?? 'unknown');
      if (metric === undefined || given.has(name)) continue;
      given.add(name);
      families.addNamed(metric, labels, value / metric.divisor);
    }
  }
  for (const [index, values] of statistics.vcpus) {
    const vcpu = labelBlock(vcpuLabels, [vm, String(index)]);
    for (const [name, value] of values) {
      if (!options.allVcpuStatistics && !ESSENTIAL.has(name)) continue;
      const metric = metrics.of('vcpu', name, statistics.types.get(name) ?? 'unknown');
      if (metric !== undefined) families.addNamed(metric, vcpu, value / metric.divisor);
    }
  }
  for (const [histogram, name, sum] of HISTOGRAMS) {
    const counts = statistics.histograms.get(histogram);
    const total = totals.get(sum);
    if (counts === undefined) continue;
    families.addHistogram(
      name,
      labels,
      fromLog2(counts, total === undefined ? undefined : total / NANOSECONDS),
    );
  }
  if (given.size > 0) {
    families.add('kvm_vm_source_info', labelBlock(vmSourceLabels, [vm, statistics.source]), 1);
  }
  if (statistics.state !== '')
    families.add('kvm_vm_state_info', labelBlock(vmStateLabels, [vm, statistics.state]), 1);
  addIothreads(families, vm, statistics.iothreads);
  for (const disk of statistics.disks) addDisk(families, vm, disk, isDedicated(disk, statistics.disks));
  return given;
}

function addIothreads(families: Families, vm: string, iothreads: readonly Iothread[]): void {
  for (const { id, pollMaxSeconds, pollGrow, pollShrink, aioMaxBatch } of iothreads) {
    const labels = labelBlock(iothreadLabels, [vm, id]);
    families.add('kvm_iothread_poll_max_seconds', labels, pollMaxSeconds);
    families.add('kvm_iothread_poll_grow', labels, pollGrow);
    families.add('kvm_iothread_poll_shrink', labels, pollShrink);
    if (aioMaxBatch !== undefined) families.add('kvm_iothread_aio_max_batch', labels, aioMaxBatch);
  }
}

/** undefined where it is not known who serves the disk. */
function isDedicated(disk: Disk, disks: readonly Disk[]): boolean | undefined {
  if (disk.iothreads === undefined) return undefined;
  const own = new Set(disk.iothreads);
  return (
    own.size > 0 &&
    !disks.some((other) => other !== disk && other.iothreads?.some((thread) => own.has(thread)))
  );
}

function addDisk(families: Families, vm: string, disk: Disk, dedicated: boolean | undefined): void {
  const labels = labelBlock(vmDiskLabels, [vm, disk.name]);
  const threads = [...new Set(disk.iothreads ?? [])].join(',');
  families.add(
    'kvm_vm_disk_info',
    labelBlock(vmDiskInfoLabels, [vm, disk.name, disk.file, disk.driver, threads]),
    1,
  );
  if (disk.queues !== undefined) families.add('kvm_vm_disk_queues', labels, disk.queues);
  if (dedicated !== undefined) families.add('kvm_vm_disk_dedicated_iothread', labels, Number(dedicated));
  disk.iothreads?.forEach((thread, queue) => {
    // One IOThread for all queues is on kvm_vm_disk_info: a series for each queue would say nothing more.
    if ((disk.iothreads?.length ?? 0) < 2) return;
    const block = labelBlock(vmDiskQueueLabels, [vm, disk.name, String(queue), thread]);
    families.add('kvm_vm_disk_queue_iothread_info', block, 1);
  });

  const { read, write, flush, discard } = disk;
  families.add('kvm_vm_disk_reads_completed_total', labels, read.operations);
  families.add('kvm_vm_disk_read_bytes_total', labels, read.bytes);
  families.add('kvm_vm_disk_read_time_seconds_total', labels, read.seconds);
  if (read.merged !== undefined) families.add('kvm_vm_disk_reads_merged_total', labels, read.merged);
  families.add('kvm_vm_disk_writes_completed_total', labels, write.operations);
  families.add('kvm_vm_disk_written_bytes_total', labels, write.bytes);
  families.add('kvm_vm_disk_write_time_seconds_total', labels, write.seconds);
  if (write.merged !== undefined) families.add('kvm_vm_disk_writes_merged_total', labels, write.merged);
  families.add('kvm_vm_disk_flush_requests_total', labels, flush.operations);
  families.add('kvm_vm_disk_flush_requests_time_seconds_total', labels, flush.seconds);
  if (discard !== undefined) {
    families.add('kvm_vm_disk_discards_completed_total', labels, discard.operations);
    families.add('kvm_vm_disk_discarded_bytes_total', labels, discard.bytes);
    families.add('kvm_vm_disk_discard_time_seconds_total', labels, discard.seconds);
    if (discard.merged !== undefined)
      families.add('kvm_vm_disk_discards_merged_total', labels, discard.merged);
  }
  const operations: [string, DiskOperation | undefined][] = [
    ['read', read],
    ['write', write],
    ['flush', flush],
    ['discard', discard],
  ];
  for (const [operation, stats] of operations) {
    if (stats === undefined) continue;
    const block = withLabel(labels, 'operation', operation);
    if (stats.failed !== undefined) families.add('kvm_vm_disk_failed_total', block, stats.failed);
    if (stats.latency !== undefined)
      families.addHistogram('kvm_vm_disk_duration_seconds', block, stats.latency);
  }
}
