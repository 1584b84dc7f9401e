import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MetricName } from '../../../exporter/metrics/catalogue.ts';
import { Families } from '../../../exporter/metrics/families.ts';
import { labelBlock, withLabel } from '../../../exporter/metrics/labels.ts';

const cpu = (i: number) => labelBlock({ cpu: i });
const thread = (vm: string, i: number) => labelBlock({ vm, role: i });
const HISTOGRAM = { buckets: [{ le: 0.5, count: 1 }], count: 2, sum: 3 };

/** `count` series of a VM, whose values are their serial numbers. */
function addVm(families: Families, vm: string, count: number): void {
  for (let i = 0; i < count; i++) families.add('kvm_vm_threads', thread(vm, i), i);
}

function addHost(families: Families, count: number): void {
  for (let i = 0; i < count; i++) families.add('kvm_cpu_run_seconds_total', cpu(i), i);
}

function content(families: Families, name: string): string[] {
  const family = families.sorted().find((each) => each.name === name);
  return family === undefined
    ? []
    : family.labels.map((labels, i) => `${family.suffixes[i] ?? ''}{${labels}} ${family.values[i]}`);
}

test('all series up to the limit are kept, and nothing is dropped', () => {
  const families = new Families(4);
  addHost(families, 1);
  families.addHistogram(
    'kvm_vm_halt_wait_duration_seconds',
    { vm: 'a' },
    {
      ...HISTOGRAM,
      sum: undefined,
    },
  );
  families.settle();
  assert.deepEqual([families.series, families.taken, families.dropped, families.cuts], [4, 4, 0, []]);
});

test('a histogram has its buckets, +Inf, the sum if known, and the count', () => {
  const families = new Families(100);
  const name = 'kvm_vm_halt_wait_duration_seconds';
  families.addHistogram(name, { vm: 'a' }, HISTOGRAM);
  families.addHistogram(name, { vm: 'b' }, { buckets: [], count: 0, sum: undefined });
  assert.deepEqual(content(families, name), [
    '_bucket{vm="a",le="0.5"} 1',
    '_bucket{vm="a",le="+Inf"} 2',
    '_sum{vm="a"} 3',
    '_count{vm="a"} 2',
    '_bucket{vm="b",le="+Inf"} 0',
    '_count{vm="b"} 0',
  ]);
  assert.equal(families.series, 6);
});

test('the host keeps what it needs, and the VMs share the rest equally', () => {
  const families = new Families(100);
  addHost(families, 10);
  for (const vm of ['a', 'b', 'c']) addVm(families, vm, 100);
  addVm(families, 'small', 5);
  families.settle();
  assert.deepEqual(
    ['a', 'b', 'c', 'small'].map(
      (vm) => content(families, 'kvm_vm_threads').filter((line) => line.includes(`"${vm}"`)).length,
    ),
    [29, 28, 28, 5],
  );
  assert.equal(content(families, 'kvm_cpu_run_seconds_total').length, 10);
  assert.equal(families.series, 100);
  assert.equal(families.dropped, 71 + 72 + 72);
  assert.deepEqual(
    families.cuts,
    ['a', 'b', 'c'].map((vm) => ({ owner: `vm="${vm}"`, dropped: vm === 'a' ? 71 : 72 })),
  );
});

test('the remainder of the division by the number of VMs goes to the first VMs, one series each', () => {
  const keptOf = (maxSeries: number, vms: number, each: number): number[] => {
    const families = new Families(maxSeries);
    for (let role = 0; role < each; role++)
      for (let vm = 0; vm < vms; vm++) families.add('kvm_vm_threads', { vm: `vm${vm}`, role }, 1);
    families.settle();
    assert.equal(families.series, maxSeries);
    assert.equal(families.dropped, vms * each - maxSeries);
    const kept = families.sorted().flatMap(({ labels }) => labels);
    return Array.from(
      { length: vms },
      (_, i) => kept.filter((each) => each.startsWith(`vm="vm${i}",`)).length,
    );
  };
  assert.deepEqual(keptOf(3, 5, 2), [1, 1, 1, 0, 0]);
  assert.deepEqual(keptOf(11, 4, 20), [3, 3, 3, 2]);
  assert.deepEqual(keptOf(12, 4, 20), [3, 3, 3, 3]);
});

test('a host that needs more than half gets half, plus what the VMs leave', () => {
  const series = (ofHost: number, ofVm: number): number[] => {
    const families = new Families(100);
    addVm(families, 'a', ofVm);
    addHost(families, ofHost);
    families.settle();
    const names = ['kvm_cpu_run_seconds_total', 'kvm_vm_threads'];
    return names.map((name) => content(families, name).length);
  };
  assert.deepEqual(series(200, 200), [50, 50]);
  assert.deepEqual(series(200, 20), [80, 20]);
  assert.deepEqual(series(20, 200), [20, 80]);
});

test('a series that is kept keeps its value', () => {
  const families = new Families(30);
  for (const vm of ['a', 'b', 'c']) addVm(families, vm, 30);
  families.settle();
  const expected = ['a', 'b', 'c'].flatMap((vm) =>
    Array.from({ length: 10 }, (_, i) => `{vm="${vm}",role="${i}"} ${i}`),
  );
  assert.deepEqual(content(families, 'kvm_vm_threads'), expected);
});

test('a histogram that does not fit is dropped as a whole, and those that stay are whole', () => {
  const families = new Families(11);
  const reasons = labelBlock({ vm: 'a', reason: 'hlt' });
  const add = (vm: string, i: number): void =>
    families.addHistogram(
      'kvm_vm_exit_duration_seconds',
      { vm, reason: i },
      {
        buckets: [{ le: 1, count: i }],
        count: i,
        sum: i,
      },
    );
  assert.equal(reasons, 'vm="a",reason="hlt"');
  for (let i = 0; i < 2; i++) add('a', i);
  for (let i = 0; i < 2; i++) add('b', i);
  families.settle();
  const of = (vm: string): string[] => [
    `_bucket{vm="${vm}",reason="0",le="1"} 0`,
    `_bucket{vm="${vm}",reason="0",le="+Inf"} 0`,
    `_sum{vm="${vm}",reason="0"} 0`,
    `_count{vm="${vm}",reason="0"} 0`,
  ];
  assert.deepEqual(content(families, 'kvm_vm_exit_duration_seconds'), [...of('a'), ...of('b')]);
  assert.equal(families.dropped, 8);
});

test('a histogram above the share of its VM is dropped, and others keep the room that it leaves', () => {
  const families = new Families(12);
  addVm(families, 'a', 12);
  const buckets = Array.from({ length: 8 }, (_, le) => ({ le, count: 0 }));
  families.addHistogram(
    'kvm_vm_halt_wait_duration_seconds',
    { vm: 'b' },
    {
      ...HISTOGRAM,
      buckets,
      sum: undefined,
    },
  );
  families.settle();
  assert.equal(content(families, 'kvm_vm_threads').length, 12);
  assert.deepEqual(families.cuts, [{ owner: 'vm="b"', dropped: 10 }]);
});

test('memory during a collection is bounded however many VMs there are', () => {
  const families = new Families(400);
  let most = 0;
  for (let vm = 0; vm < 60; vm++) {
    for (let i = 0; i < 400; i++) {
      families.add('kvm_vm_threads', thread(`vm${vm}`, i), i);
      most = Math.max(most, families.series);
    }
  }
  assert.ok(most > 400 && most <= 801, `${most} series at most`);
  families.settle();
  assert.equal(families.series, 400, '6 of each VM, and one more of 40');
  assert.equal(families.dropped, 60 * 400 - 400);
  assert.ok(families.taken > 800, 'series that were removed were accepted first');
});

test('a copy is independent of the original, in both directions', () => {
  const families = new Families(20);
  addVm(families, 'a', 5);
  families.addHistogram('kvm_vm_halt_wait_duration_seconds', { vm: 'a' }, HISTOGRAM);
  const copy = families.copy();
  addVm(families, 'b', 5);
  const before = content(copy, 'kvm_vm_threads');
  assert.equal(before.length, 5);
  assert.equal(content(copy, 'kvm_vm_halt_wait_duration_seconds').length, 4);
  assert.equal(copy.series, 9);
  addVm(copy, 'c', 1);
  assert.equal(content(families, 'kvm_vm_threads').length, 10);
  assert.equal(content(copy, 'kvm_vm_threads').length, 6);
});

test('a copy of a collection above the limit has the same shares, and its own', () => {
  const families = new Families(20);
  for (const vm of ['a', 'b']) addVm(families, vm, 20);
  const copy = families.copy();
  assert.equal(copy.dropped, families.dropped);
  addVm(families, 'c', 20);
  families.settle();
  copy.settle();
  assert.deepEqual([copy.series, copy.dropped], [20, 20]);
  assert.deepEqual([families.series, families.dropped], [20, 40]);
  assert.deepEqual(copy.copy().sorted(), copy.sorted());
});

test('values that are not finite are left out; a metric without a definition is an error', () => {
  const families = new Families(10);
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
    families.add('kvm_vm_threads', thread('a', 0), value);
  assert.deepEqual([families.series, content(families, 'kvm_vm_threads')], [0, []]);
  assert.throws(
    () => families.add('kvm_typo' as MetricName, '' as never, 1),
    /kvm_typo is not in the catalogue/,
  );
});

test("the exporter's own series are never dropped and take no room", () => {
  const families = new Families(1);
  families.addUnlimited('kvm_telemetry_series', {}, 7);
  families.addUnlimited('kvm_telemetry_series_dropped', {}, 8);
  addVm(families, 'a', 1);
  assert.deepEqual([families.series, families.dropped], [1, 0]);
  assert.deepEqual(content(families, 'kvm_telemetry_series_dropped'), ['{} 8']);
});

test('a family that comes from the kernel is made once, and families are sorted by name', () => {
  const families = new Families(10);
  const metric = { name: 'kvm_vm_a_total', type: 'counter', help: 'A.' } as const;
  families.add('kvm_vm_threads', thread('a', 0), 1);
  for (const vm of ['a', 'b']) families.addNamed(metric, { vm }, 1);
  const block = labelBlock({ vm: 'a' });
  assert.deepEqual(
    families.sorted().map(({ name, type, help, labels }) => [name, type, help, labels.length]),
    [
      ['kvm_vm_a_total', 'counter', 'A.', 2],
      ['kvm_vm_threads', 'gauge', families.sorted()[1]?.help, 1],
    ],
  );
  assert.equal(withLabel(block, 'cpu', 'a"\\b'), 'vm="a",cpu="a\\"\\\\b"');
});
