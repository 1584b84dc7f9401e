import { NSEC_PER_SEC } from '../../kernel/units.ts';
import type { MetricName } from '../metrics/catalogue.ts';
import type { Families } from '../metrics/families.ts';
import { withLabel } from '../metrics/labels.ts';
import type { CounterSet } from '../model/continued-counter.ts';
import { totalsOf } from '../model/vcpu-table.ts';
import {
  type Disk,
  type DiskOperation,
  fromLog2,
  type Histogram,
  hasEnded,
  type Iothread,
  type Migration,
  type VmStatistics,
} from '../model/vm-statistics.ts';
import type { CollectorSettings } from './collector.ts';
import type { StatisticMetrics } from './statistic-metrics.ts';

type DiskCounter = Exclude<Extract<MetricName, `kvm_vm_disk_${string}_total`>, 'kvm_vm_disk_failed_total'>;

/** KVM's log2 histograms, each with the statistic that is its sum in nanoseconds. */
const HISTOGRAMS = [
  ['halt_poll_success_hist', 'kvm_vm_halt_poll_success_duration_seconds', 'halt_poll_success_ns'],
  ['halt_poll_fail_hist', 'kvm_vm_halt_poll_fail_duration_seconds', 'halt_poll_fail_ns'],
  ['halt_wait_hist', 'kvm_vm_halt_wait_duration_seconds', 'halt_wait_ns'],
] as const;

/** Statistics that each vCPU exports by default: exits, interrupts and halts. */
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

/**
 * Statistics that the reading itself changes. `query-stats`, which libvirt uses as well, runs on the vCPU thread and
 * wakes it, so no vCPU is ever blocking when it responds.
 */
export const DISTURBED: ReadonlySet<string> = new Set(['blocking']);

/**
 * Writes a VMM's statistics of one VM.
 *
 * @param counters of this VM; they continue when the source changes
 * @param already names of the statistics that another source has provided in this scrape
 * @returns names of the statistics that were written; no other source may provide them in this scrape
 */
export function addStatistics(
  families: Families,
  metrics: StatisticMetrics,
  vm: string,
  statistics: VmStatistics,
  counters: CounterSet,
  { allVcpuStatistics }: CollectorSettings,
  already: ReadonlySet<string> = new Set(),
): Set<string> {
  const given = new Set<string>();
  const { source, types, vcpus } = statistics;
  const labels = families.block({ vm });
  /** @param counted the reading of a counter; the same as `reading` if it is not a sum */
  const addToVm = (name: string, reading: number, counted: number): void => {
    const metric = metrics.of('vm', name, types.get(name) ?? 'unknown');
    if (metric === undefined || given.has(name) || already.has(name)) return;
    // Reading the kernel's memory disturbs nothing.
    if (DISTURBED.has(name) && source !== 'bpf') return;
    if (metric.type === 'counter' && Number.isNaN(counted)) return;
    given.add(name);
    const shown = metric.type === 'counter' ? counters.one(metric.name, source, counted) : reading;
    families.addNamed(metric, labels, shown / metric.divisor);
  };
  const totals = totalsOf(vcpus, types);
  const counts = counters.vcpusOf(source, vcpus);
  totals.forEach((total, i) => {
    if (!Number.isNaN(total)) addToVm(vcpus.names[i] ?? '', total, counts.sums[i] ?? Number.NaN);
  });
  for (const [name, value] of statistics.vm) addToVm(name, value, value);
  const blocks = vcpus.indexes.map((vcpu) => families.block({ vm, vcpu }));
  const step = vcpus.names.length;
  for (const { name, column, metric } of metrics.vcpuColumns(vcpus.names, types)) {
    if ((!allVcpuStatistics && !ESSENTIAL.has(name)) || DISTURBED.has(name) || already.has(name)) continue;
    const values = metric.type === 'counter' ? counts.values : vcpus.values;
    families.addColumn(metric, blocks, { values, first: column, step });
  }
  addKernelFacts(families, vm, statistics);
  // A different set of vCPUs has different buckets.
  const counted = `${source} ${vcpus.indexes.join()}`;
  for (const [statistic, name, sum] of HISTOGRAMS) {
    const counts = statistics.histograms.get(statistic);
    if (counts === undefined || already.has(statistic)) continue;
    given.add(statistic);
    const kept = counters.list(name, counted, counts);
    const total = totals[vcpus.names.indexOf(sum)] ?? Number.NaN;
    const sumNs = Number.isNaN(total) ? undefined : counters.one(`${name} sum`, counted, total);
    families.addHistogram(
      name,
      labels,
      fromLog2(kept, sumNs === undefined ? undefined : sumNs / NSEC_PER_SEC),
    );
  }
  if (given.size > 0) {
    families.add('kvm_vm_source_info', { vm, source }, 1);
  }
  if (statistics.state !== '') families.add('kvm_vm_state_info', { vm, state: statistics.state }, 1);
  if (statistics.migration !== undefined) addMigration(families, vm, statistics.migration);
  if (statistics.balloon !== undefined)
    families.add('kvm_vm_memory_balloon_actual_bytes', { vm }, statistics.balloon);
  addIothreads(families, vm, statistics.iothreads);
  for (const disk of statistics.disks) {
    addDisk(families, vm, disk, isDedicated(disk, statistics.disks));
    addDiskCounters(families, vm, disk, (name, value) => counters.one(`${disk.name} ${name}`, source, value));
  }
  return given;
}

/** Facts that only the kernel reports. */
function addKernelFacts(
  families: Families,
  vm: string,
  { haltPollNs, apicv, confidential }: VmStatistics,
): void {
  for (const [vcpu, ns] of haltPollNs ?? [])
    families.add('kvm_vcpu_halt_poll_seconds', { vm, vcpu }, ns / NSEC_PER_SEC);
  for (const [vcpu, isActive] of apicv?.active ?? [])
    families.add('kvm_vcpu_apicv_active', { vm, vcpu }, Number(isActive));
  for (const reason of apicv?.inhibited ?? []) families.add('kvm_vm_apicv_inhibited', { vm, reason }, 1);
  if (confidential !== undefined) families.add('kvm_vm_confidential_info', { vm, type: confidential }, 1);
}

function addIothreads(families: Families, vm: string, iothreads: readonly Iothread[]): void {
  for (const { id, pollMaxSeconds, pollGrow, pollShrink, pollWeight, aioMaxBatch } of iothreads) {
    const labels = families.block({ vm, iothread: id });
    families.add('kvm_iothread_poll_max_seconds', labels, pollMaxSeconds);
    families.add('kvm_iothread_poll_grow', labels, pollGrow);
    families.add('kvm_iothread_poll_shrink', labels, pollShrink);
    if (pollWeight !== undefined) families.add('kvm_iothread_poll_weight', labels, pollWeight);
    if (aioMaxBatch !== undefined) families.add('kvm_iothread_aio_max_batch', labels, aioMaxBatch);
  }
}

/** undefined if the thread that serves the disk is unknown. */
function isDedicated(disk: Disk, disks: readonly Disk[]): boolean | undefined {
  if (disk.iothreads === undefined) return undefined;
  const own = new Set(disk.iothreads);
  return (
    own.size > 0 &&
    !disks.some((other) => other !== disk && other.iothreads?.some((thread) => own.has(thread)))
  );
}

function addDisk(families: Families, vm: string, disk: Disk, dedicated: boolean | undefined): void {
  const labels = families.block({ vm, disk: disk.name });
  const threads = [...new Set(disk.iothreads ?? [])].join(',');
  families.add(
    'kvm_vm_disk_info',
    { vm, disk: disk.name, file: disk.file, driver: disk.driver, iothread: threads },
    1,
  );
  if (disk.queues !== undefined) families.add('kvm_vm_disk_queues', labels, disk.queues);
  if (dedicated !== undefined) families.add('kvm_vm_disk_dedicated_iothread', labels, Number(dedicated));
  disk.iothreads?.forEach((thread, queue) => {
    // If one IOThread serves all queues, kvm_vm_disk_info names it. A series per queue would add nothing.
    if ((disk.iothreads?.length ?? 0) < 2) return;
    const of = { vm, disk: disk.name, queue, iothread: thread };
    families.add('kvm_vm_disk_queue_iothread_info', of, 1);
  });
}

/** @param continued turns a reading into the value of the counter */
function addDiskCounters(
  families: Families,
  vm: string,
  { name: disk, read, write, flush, discard }: Disk,
  continued: (name: string, reading: number) => number,
): void {
  const labels = families.block({ vm, disk });
  const add = (metric: DiskCounter, reading: number | undefined): void => {
    if (reading !== undefined) families.add(metric, labels, continued(metric, reading));
  };
  add('kvm_vm_disk_reads_completed_total', read.operations);
  add('kvm_vm_disk_read_bytes_total', read.bytes);
  add('kvm_vm_disk_read_time_seconds_total', read.seconds);
  add('kvm_vm_disk_reads_merged_total', read.merged);
  add('kvm_vm_disk_writes_completed_total', write.operations);
  add('kvm_vm_disk_written_bytes_total', write.bytes);
  add('kvm_vm_disk_write_time_seconds_total', write.seconds);
  add('kvm_vm_disk_writes_merged_total', write.merged);
  add('kvm_vm_disk_flush_requests_total', flush?.operations);
  add('kvm_vm_disk_flush_requests_time_seconds_total', flush?.seconds);
  add('kvm_vm_disk_discards_completed_total', discard?.operations);
  add('kvm_vm_disk_discarded_bytes_total', discard?.bytes);
  add('kvm_vm_disk_discard_time_seconds_total', discard?.seconds);
  add('kvm_vm_disk_discards_merged_total', discard?.merged);
  const operations: [string, DiskOperation | undefined][] = [
    ['read', read],
    ['write', write],
    ['flush', flush],
    ['discard', discard],
  ];
  for (const [operation, stats] of operations) {
    if (stats === undefined) continue;
    const block = withLabel(labels, 'operation', operation);
    if (stats.failed !== undefined) {
      families.add('kvm_vm_disk_failed_total', block, continued(`failed ${operation}`, stats.failed));
    }
    if (stats.latency === undefined) continue;
    const latency = continuedHistogram(stats.latency, (name, reading) =>
      continued(`latency ${operation} ${name}`, reading),
    );
    families.addHistogram('kvm_vm_disk_duration_seconds', block, latency);
  }
}

/** Continues bucket by bucket, so that a bucket never exceeds the next one. */
function continuedHistogram(
  { buckets, count, sum }: Histogram,
  continued: (name: string, reading: number) => number,
): Histogram {
  let before = 0;
  let all = 0;
  const inBucket = (le: string, cumulative: number): number => {
    all += continued(le, cumulative - before);
    before = cumulative;
    return all;
  };
  const kept = buckets.map(({ le, count: cumulative }) => ({ le, count: inBucket(String(le), cumulative) }));
  return {
    buckets: kept,
    count: inBucket('+Inf', count),
    sum: sum === undefined ? undefined : continued('sum', sum),
  };
}

/** Writes the last live migration of a VM. */
export function addMigration(
  families: Families,
  vm: string,
  { direction, status, memory, expectedDowntime }: Migration,
): void {
  families.add('kvm_vm_migration_info', { vm, direction, status }, 1);
  // After the migration has ended, its numbers describe the past.
  if (memory === undefined || hasEnded(status)) return;
  families.add('kvm_vm_migration_total_bytes', { vm }, memory.total);
  families.add('kvm_vm_migration_transferred_bytes', { vm }, memory.transferred);
  families.add('kvm_vm_migration_remaining_bytes', { vm }, memory.remaining);
  if (memory.dirtyRate !== undefined)
    families.add('kvm_vm_migration_dirty_bytes_per_second', { vm }, memory.dirtyRate);
  if (memory.rate !== undefined) families.add('kvm_vm_migration_sent_bytes_per_second', { vm }, memory.rate);
  if (expectedDowntime !== undefined)
    families.add('kvm_vm_migration_expected_downtime_seconds', { vm }, expectedDowntime);
}
