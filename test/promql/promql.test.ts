import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  add,
  and,
  atEnd,
  avgOverTime,
  clampMax,
  clampMin,
  compare,
  count,
  countValues,
  div,
  equal,
  gauge,
  gaugeOffset,
  gaugeRange,
  groupLeft,
  histogramQuantile,
  increase,
  labelReplace,
  labelValues,
  lastOverTime,
  maxOverTime,
  minOverTime,
  mul,
  notEqual,
  notRegexp,
  on,
  or,
  quantileOverTime,
  queryResult,
  rate,
  recordedSeries,
  regexp,
  sort,
  sortDesc,
  sub,
  subquery,
  sum,
  timestamp,
  topk,
  unless,
  vector,
} from '../../promql/promql.ts';

const vcpus = gauge('kvm_vm_vcpus');
const exits = rate('kvm_vm_exits_total', '2m');

function writes({ promql }: { readonly promql: string }, expected: string): void {
  assert.equal(promql, expected);
}

test('matchers escape quotes and backslashes', () => {
  assert.equal(equal('a"b\\c'), '="a\\"b\\\\c"');
  assert.equal(notEqual('0'), '!="0"');
  assert.equal(regexp('web-\\d+|"'), '=~"web-\\\\d+|\\""');
  assert.equal(notRegexp('HLT|hlt'), '!~"HLT|hlt"');
});

test('selectors', () => {
  writes(vcpus, 'kvm_vm_vcpus');
  writes(gauge('up', { job: equal('kvm') }), 'up{job="kvm"}');
  writes(
    gauge('kvm_vm_stage_info', { vm: regexp('$vm'), source: equal('detected') }),
    'kvm_vm_stage_info{vm=~"$vm",source="detected"}',
  );
  writes(gaugeOffset('kvm_vm_vcpus', '5m'), 'kvm_vm_vcpus offset 5m');
  writes(recordedSeries('vm:a:b', { vm: equal('x') }), 'vm:a:b{vm="x"}');
});

test('counters', () => {
  writes(exits, 'rate(kvm_vm_exits_total[2m])');
  writes(
    increase('kvm_vm_exits_total', '1h', { vm: equal('a') }),
    'increase(kvm_vm_exits_total{vm="a"}[1h])',
  );
  writes(
    rate('kvm_vm_exit_duration_seconds_bucket', '5m', { reason: notRegexp('HLT') }),
    'rate(kvm_vm_exit_duration_seconds_bucket{reason!~"HLT"}[5m])',
  );
});

test('range vectors', () => {
  writes(minOverTime(gaugeRange('kvm_block_io_now', '2m')), 'min_over_time(kvm_block_io_now[2m])');
  writes(maxOverTime(subquery(vcpus, '6h', '1m')), 'max_over_time(kvm_vm_vcpus[6h:1m])');
  writes(lastOverTime(subquery(vcpus, '6h')), 'last_over_time(kvm_vm_vcpus[6h:])');
  writes(avgOverTime(atEnd(subquery(exits, '6h', '1m'))), `avg_over_time(${exits.promql}[6h:1m] @ end())`);
  writes(
    quantileOverTime(0.95, subquery(add(vcpus, 1), '1d', '5m')),
    'quantile_over_time(0.95, (kvm_vm_vcpus + 1)[1d:5m])',
  );
});

test('aggregations', () => {
  writes(sum(exits, ['instance', 'vm']), 'sum by (instance, vm) (rate(kvm_vm_exits_total[2m]))');
  writes(count(vcpus, []), 'count(kvm_vm_vcpus)');
  writes(topk(3, vcpus), 'topk(3, kvm_vm_vcpus)');
  writes(countValues('n', vcpus, ['job']), 'count_values by (job) ("n", kvm_vm_vcpus)');
});

test('functions', () => {
  const buckets = sum(rate('kvm_vm_exit_duration_seconds_bucket', '5m'), ['vm', 'le']);
  writes(histogramQuantile(0.99, buckets), `histogram_quantile(0.99, ${buckets.promql})`);
  writes(clampMin(vcpus, 0), 'clamp_min(kvm_vm_vcpus, 0)');
  writes(clampMax(vcpus, 1), 'clamp_max(kvm_vm_vcpus, 1)');
  writes(
    labelReplace(vcpus, 'name', '$1', 'vm', '(.*)'),
    'label_replace(kvm_vm_vcpus, "name", "$1", "vm", "(.*)")',
  );
  writes(sort(vcpus), 'sort(kvm_vm_vcpus)');
  writes(sortDesc(vcpus), 'sort_desc(kvm_vm_vcpus)');
  writes(timestamp(vcpus), 'timestamp(kvm_vm_vcpus)');
  writes(vector(1), 'vector(1)');
});

test('operators write brackets only around operands that bind less', () => {
  writes(mul(vcpus, 2), 'kvm_vm_vcpus * 2');
  writes(div(add(vcpus, vcpus), 2), '(kvm_vm_vcpus + kvm_vm_vcpus) / 2');
  writes(add(vcpus, div(vcpus, 2)), 'kvm_vm_vcpus + kvm_vm_vcpus / 2');
  writes(sub(sub(vcpus, vcpus), vcpus), 'kvm_vm_vcpus - kvm_vm_vcpus - kvm_vm_vcpus');
  writes(sub(vcpus, sub(vcpus, vcpus)), 'kvm_vm_vcpus - (kvm_vm_vcpus - kvm_vm_vcpus)');
  writes(compare(vcpus, '>=', 4), 'kvm_vm_vcpus >= 4');
  writes(compare(vcpus, '<', vcpus), 'kvm_vm_vcpus < kvm_vm_vcpus');
  writes(or(vcpus, vcpus), 'kvm_vm_vcpus or kvm_vm_vcpus');
  writes(or(vcpus, on('vm'), vcpus), 'kvm_vm_vcpus or on (vm) kvm_vm_vcpus');
});

test('joins', () => {
  const devices = gauge('kvm_vm_block_device_info');
  const numa = gauge('kvm_block_numa_node');
  const same = on('instance', 'device');
  const text = 'on (instance, device)';
  writes(
    div(devices, same, groupLeft(), numa),
    `kvm_vm_block_device_info / ${text} group_left () kvm_block_numa_node`,
  );
  writes(
    mul(devices, same, groupLeft('scheduler'), gauge('kvm_block_info')),
    `kvm_vm_block_device_info * ${text} group_left (scheduler) kvm_block_info`,
  );
  writes(
    sub(devices, same, groupLeft(), numa),
    `kvm_vm_block_device_info - ${text} group_left () kvm_block_numa_node`,
  );
  writes(and(devices, same, numa), `kvm_vm_block_device_info and ${text} kvm_block_numa_node`);
  writes(
    unless(devices, same, compare(numa, '==', 0)),
    `kvm_vm_block_device_info unless ${text} kvm_block_numa_node == 0`,
  );
});

test('queries of dashboard variables', () => {
  assert.equal(labelValues('kvm_vm_vcpus', 'vm'), 'label_values(kvm_vm_vcpus, vm)');
  assert.equal(queryResult(sort(vcpus)), 'query_result(sort(kvm_vm_vcpus))');
});

test('a name that is not in the catalogue does not compile', () => {
  const refused = [
    // @ts-expect-error: no such metric
    () => gauge('kvm_vm_vcpu'),
    // @ts-expect-error: a vCPU count has no step
    () => gauge('kvm_vm_vcpus', { step: equal('kick') }),
    // @ts-expect-error: a value without its operator
    () => gauge('kvm_vm_vcpus', { vm: 'a' }),
    // @ts-expect-error: the rate of a gauge
    () => rate('kvm_vm_vcpus', '2m'),
    // @ts-expect-error: the value of a counter
    () => gauge('kvm_vm_exits_total'),
    // @ts-expect-error: a histogram without bucket, sum or count
    () => rate('kvm_vm_exit_duration_seconds', '2m'),
    // @ts-expect-error: only buckets have the label le
    () => sum(rate('kvm_vm_exit_duration_seconds_sum', '2m'), ['le']),
    // @ts-expect-error: by a label that it does not have
    () => sum(exits, ['device']),
    // @ts-expect-error: on a label that only one of the two has
    () => and(vcpus, on('device'), gauge('kvm_block_numa_node')),
    // @ts-expect-error: two vectors with different labels
    () => add(vcpus, gauge('kvm_block_numa_node')),
    // @ts-expect-error: group_left of a label that the right side does not have
    () => mul(gauge('kvm_vm_block_device_info'), on('device'), groupLeft('reason'), gauge('kvm_block_info')),
  ];
  // The text is still built: only the types refuse it.
  for (const build of refused) assert.equal(typeof build().promql, 'string');
});
