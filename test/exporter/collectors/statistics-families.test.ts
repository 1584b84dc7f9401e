import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatisticMetrics } from '../../../exporter/collectors/statistic-metrics.ts';
import { addStatistics } from '../../../exporter/collectors/statistics-families.ts';
import { Families } from '../../../exporter/metrics/families.ts';
import { CounterSet } from '../../../exporter/model/continued-counter.ts';
import { NO_VCPUS, vcpuTable } from '../../../exporter/model/vcpu-table.ts';
import type { Disk, DiskOperation, VmStatistics } from '../../../exporter/model/vm-statistics.ts';

const NONE: DiskOperation = {
  operations: 0,
  bytes: 0,
  seconds: 0,
  merged: undefined,
  failed: undefined,
  latency: undefined,
};

function disk(name: string, iothreads: readonly string[] | undefined, more: Partial<Disk> = {}): Disk {
  const all = { read: NONE, write: NONE, flush: NONE, discard: undefined, file: '', driver: '' };
  return { name, iothreads, queues: undefined, ...all, ...more };
}

function statisticsOf(more: Partial<VmStatistics>): VmStatistics {
  const none = { vm: new Map(), vcpus: NO_VCPUS, histograms: new Map(), types: new Map() };
  return { source: 'qmp', ...none, disks: [], iothreads: [], state: '', ...more };
}

/** Adds readings one after another, and gives the series of the last: metric, labels and value. */
function seriesOf(readings: readonly Partial<VmStatistics>[], names: RegExp): string[] {
  const metrics = new StatisticMetrics();
  const counters = new CounterSet();
  let families = new Families(1e6);
  for (const reading of readings) {
    families = new Families(1e6);
    const settings = {
      allVcpuStatistics: false,
      vcpuReasons: false,
      metadataLabels: new Set<string>(),
      blockExclude: /^$/,
    };
    addStatistics(families, metrics, 'web', statisticsOf(reading), counters, settings);
  }
  return families
    .sorted()
    .filter(({ name }) => names.test(name))
    .flatMap(({ name, labels, values, suffixes }) =>
      [...values].map((value, i) => `${name}${suffixes[i] ?? ''}{${labels[i]}} ${value}`),
    );
}

test('a disk has IOThreads of its own if it has any, and no other disk has one of them', () => {
  const disks = [
    disk('own', ['io0', 'io1']),
    disk('shared', ['io2', 'io3']),
    disk('with', ['io3', 'io4']),
    disk('main', []),
    disk('unknown', undefined),
  ];
  assert.deepEqual(seriesOf([{ disks }], /dedicated/), [
    'kvm_vm_disk_dedicated_iothread{vm="web",disk="own"} 1',
    'kvm_vm_disk_dedicated_iothread{vm="web",disk="shared"} 0',
    'kvm_vm_disk_dedicated_iothread{vm="web",disk="with"} 0',
    'kvm_vm_disk_dedicated_iothread{vm="web",disk="main"} 0',
  ]);
});

test('IOThreads are exported by queue only if the queues have several IOThreads', () => {
  const disks = [disk('one', ['io0']), disk('two', ['io0', 'io1']), disk('same', ['io2', 'io2', 'io3'])];
  assert.deepEqual(seriesOf([{ disks }], /queue_iothread/), [
    'kvm_vm_disk_queue_iothread_info{vm="web",disk="two",queue="0",iothread="io0"} 1',
    'kvm_vm_disk_queue_iothread_info{vm="web",disk="two",queue="1",iothread="io1"} 1',
    'kvm_vm_disk_queue_iothread_info{vm="web",disk="same",queue="0",iothread="io2"} 1',
    'kvm_vm_disk_queue_iothread_info{vm="web",disk="same",queue="1",iothread="io2"} 1',
    'kvm_vm_disk_queue_iothread_info{vm="web",disk="same",queue="2",iothread="io3"} 1',
  ]);
  const threads = seriesOf([{ disks }], /disk_info/).map((each) => /iothread="([^"]*)"/.exec(each)?.[1]);
  assert.deepEqual(threads, ['io0', 'io0,io1', 'io2,io3']);
});

test('each operation of a disk counts separately, also over a change of the source', () => {
  const failed = (count: number): DiskOperation => ({ ...NONE, failed: count });
  const reading = (source: VmStatistics['source'], [read, write, flush]: readonly number[]) => ({
    source,
    disks: [
      disk('vda', [], { read: failed(read ?? 0), write: failed(write ?? 0), flush: failed(flush ?? 0) }),
    ],
  });
  const found = seriesOf(
    [reading('qmp', [5, 7, 9]), reading('libvirt', [50, 70, 90]), reading('libvirt', [51, 73, 95])],
    /failed/,
  );
  assert.deepEqual(found, [
    'kvm_vm_disk_failed_total{vm="web",disk="vda",operation="read"} 6',
    'kvm_vm_disk_failed_total{vm="web",disk="vda",operation="write"} 10',
    'kvm_vm_disk_failed_total{vm="web",disk="vda",operation="flush"} 14',
  ]);
});

test('a latency without a sum has buckets and a count, and none falls when the source starts again', () => {
  const latency = (counts: readonly number[], sum?: number): Partial<VmStatistics> => {
    const [first = 0, second = 0, count = 0] = counts;
    const buckets = [
      { le: 0.001, count: first },
      { le: 0.01, count: second },
    ];
    return { disks: [disk('vda', [], { read: { ...NONE, latency: { buckets, count, sum } } })] };
  };
  const names = /duration/;
  assert.deepEqual(seriesOf([latency([10, 20, 30]), latency([1, 2, 4]), latency([2, 4, 7])], names), [
    'kvm_vm_disk_duration_seconds_bucket{vm="web",disk="vda",operation="read",le="0.001"} 11',
    'kvm_vm_disk_duration_seconds_bucket{vm="web",disk="vda",operation="read",le="0.01"} 22',
    'kvm_vm_disk_duration_seconds_bucket{vm="web",disk="vda",operation="read",le="+Inf"} 33',
    'kvm_vm_disk_duration_seconds_count{vm="web",disk="vda",operation="read"} 33',
  ]);
  assert.ok(
    seriesOf([latency([10, 20, 30], 5), latency([1, 2, 4], 0.5), latency([2, 4, 7], 0.75)], names).includes(
      'kvm_vm_disk_duration_seconds_sum{vm="web",disk="vda",operation="read"} 5.25',
    ),
  );
});

test("each of KVM's histograms has the sum of its own statistic", () => {
  const vcpu = new Map([
    ['halt_poll_success_ns', 1e9],
    ['halt_poll_fail_ns', 2e9],
    ['halt_wait_ns', 3e9],
  ]);
  const histograms = new Map(
    ['halt_poll_success_hist', 'halt_poll_fail_hist', 'halt_wait_hist'].map((name) => [name, [1, 2]]),
  );
  const sums = seriesOf([{ vcpus: vcpuTable([[0, vcpu]]), histograms }], /duration/).filter((each) =>
    each.includes('_sum'),
  );
  assert.deepEqual(sums, [
    'kvm_vm_halt_poll_fail_duration_seconds_sum{vm="web"} 2',
    'kvm_vm_halt_poll_success_duration_seconds_sum{vm="web"} 1',
    'kvm_vm_halt_wait_duration_seconds_sum{vm="web"} 3',
  ]);
});

test("a vCPU's counters continue over a change of the source, and gauges are exported as read", () => {
  const reading = (source: VmStatistics['source'], exits: number): Partial<VmStatistics> => ({
    source,
    vcpus: vcpuTable([[0, new Map([['exits', exits]])]]),
    vm: new Map([['pages_4k', exits]]),
    haltPollNs: new Map([[0, exits * 1000]]),
  });
  assert.deepEqual(
    seriesOf([reading('bpf', 100), reading('qmp', 40), reading('qmp', 41)], /exits|pages|halt_poll/),
    [
      'kvm_vcpu_exits_total{vm="web",vcpu="0"} 101',
      'kvm_vcpu_halt_poll_seconds{vm="web",vcpu="0"} 0.000041',
      'kvm_vm_exits_total{vm="web"} 101',
      'kvm_vm_pages_4k{vm="web"} 41',
    ],
  );
});
