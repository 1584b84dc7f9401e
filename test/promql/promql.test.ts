import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  aggregate,
  and,
  clampMax,
  clampMin,
  dividedBy,
  dividedByOn,
  equal,
  gauge,
  histogramQuantile,
  increase,
  joined,
  matching,
  minus,
  or,
  overTime,
  plus,
  quantileOverTime,
  rate,
  rateOf,
  recordedSeries,
  subquery,
  sum,
  times,
  unless,
  unmatching,
  where,
} from '../../promql/promql.ts';

const vcpus = gauge('kvm_vm_vcpus');
const exits = rate('kvm_vm_exits_total', '2m');

test('matchers are quoted as PromQL has its strings', () => {
  assert.equal(equal('a"b\\c'), '="a\\"b\\\\c"');
  assert.equal(matching('web-\\d+|"'), '=~"web-\\\\d+|\\""');
  assert.equal(unmatching('HLT|hlt'), '!~"HLT|hlt"');
});

test('selectors', () => {
  assert.equal(vcpus, 'kvm_vm_vcpus');
  assert.equal(gauge('up', { job: equal('kvm') }), 'up{job="kvm"}');
  assert.equal(
    gauge('kvm_vm_stage_info', { vm: matching('$vm'), source: equal('detected') }),
    'kvm_vm_stage_info{vm=~"$vm",source="detected"}',
  );
  assert.equal(recordedSeries('vm:a:b', { vm: equal('x') }), 'vm:a:b{vm="x"}');
});

test('over time', () => {
  assert.equal(exits, 'rate(kvm_vm_exits_total[2m])');
  assert.equal(
    increase('kvm_vm_exits_total', '1h', { vm: equal('a') }),
    'increase(kvm_vm_exits_total{vm="a"}[1h])',
  );
  assert.equal(
    rateOf('kvm_vm_exit_duration_seconds', 'bucket', '5m', { reason: unmatching('HLT') }),
    'rate(kvm_vm_exit_duration_seconds_bucket{reason!~"HLT"}[5m])',
  );
  assert.equal(overTime('min', 'kvm_block_io_now', '2m'), 'min_over_time(kvm_block_io_now[2m])');
  assert.equal(subquery('max', vcpus, '6h', '1m'), 'max_over_time((kvm_vm_vcpus)[6h:1m])');
  assert.equal(subquery('last', vcpus, '6h'), 'last_over_time((kvm_vm_vcpus)[6h:])');
  assert.equal(quantileOverTime(0.95, vcpus, '1d', '5m'), 'quantile_over_time(0.95, (kvm_vm_vcpus)[1d:5m])');
});

test('aggregations', () => {
  assert.equal(sum(exits, ['instance', 'vm']), 'sum by (instance, vm) (rate(kvm_vm_exits_total[2m]))');
  assert.equal(aggregate('count', vcpus, []), 'count (kvm_vm_vcpus)');
  const buckets = sum(rateOf('kvm_vm_exit_duration_seconds', 'bucket', '5m'), ['vm', 'le']);
  assert.equal(histogramQuantile(0.99, buckets), `histogram_quantile(0.99, ${buckets})`);
});

test('operators keep what they stand between in brackets', () => {
  assert.equal(times(vcpus, 2), '(kvm_vm_vcpus) * 2');
  assert.equal(dividedBy(plus(vcpus, vcpus), 2), '((kvm_vm_vcpus) + (kvm_vm_vcpus)) / 2');
  assert.equal(minus(vcpus, vcpus), '(kvm_vm_vcpus) - (kvm_vm_vcpus)');
  assert.equal(clampMin(vcpus, 0), 'clamp_min(kvm_vm_vcpus, 0)');
  assert.equal(clampMax(vcpus, 1), 'clamp_max(kvm_vm_vcpus, 1)');
  assert.equal(where(vcpus, '>=', 4), '(kvm_vm_vcpus) >= 4');
  assert.equal(where(vcpus, '<', vcpus), '(kvm_vm_vcpus) < (kvm_vm_vcpus)');
});

test('joins', () => {
  const devices = gauge('kvm_vm_block_device_info');
  const numa = gauge('kvm_block_numa_node');
  const on = ['instance', 'device'] as const;
  assert.equal(
    dividedByOn(devices, on, numa),
    '(kvm_vm_block_device_info) / on (instance, device) group_left () (kvm_block_numa_node)',
  );
  assert.equal(
    joined(devices, on, gauge('kvm_block_info'), ['scheduler']),
    '(kvm_vm_block_device_info) * on (instance, device) group_left (scheduler) (kvm_block_info)',
  );
  assert.equal(
    and(devices, on, numa),
    '(kvm_vm_block_device_info) and on (instance, device) (kvm_block_numa_node)',
  );
  assert.equal(
    unless(devices, on, numa),
    '(kvm_vm_block_device_info) unless on (instance, device) (kvm_block_numa_node)',
  );
  assert.equal(or(vcpus, vcpus), '(kvm_vm_vcpus) or (kvm_vm_vcpus)');
});

test('what is not in the catalogue does not compile', () => {
  const refused = [
    // @ts-expect-error: no such metric
    () => gauge('kvm_vm_vcpu'),
    // @ts-expect-error: a vCPU count has no stage
    () => gauge('kvm_vm_vcpus', { step: equal('kick') }),
    // @ts-expect-error: a value without its operator
    () => gauge('kvm_vm_vcpus', { vm: 'a' }),
    // @ts-expect-error: the rate of a gauge
    () => rate('kvm_vm_vcpus', '2m'),
    // @ts-expect-error: a counter as it is
    () => gauge('kvm_vm_exits_total'),
    // @ts-expect-error: a histogram is its buckets, its sum or its count
    () => rate('kvm_vm_exit_duration_seconds', '2m'),
    // @ts-expect-error: by a label that it does not have
    () => sum(exits, ['device']),
    // @ts-expect-error: on a label that only one of the two has
    () => and(vcpus, ['device'], gauge('kvm_block_numa_node')),
    // @ts-expect-error: two vectors whose labels differ
    () => plus(vcpus, gauge('kvm_block_numa_node')),
    // @ts-expect-error: a label to take that is not there
    () => joined(gauge('kvm_vm_block_device_info'), ['device'], gauge('kvm_block_info'), ['reason']),
  ];
  // They are text all the same: the types are all that refuses them.
  for (const made of refused) assert.equal(typeof made(), 'string');
});
