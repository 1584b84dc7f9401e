import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatisticMetrics } from '../../../exporter/collectors/statistic-metrics.ts';

test('a known statistic has its own type, whatever its source declares', () => {
  const metrics = new StatisticMetrics();
  assert.equal(metrics.of('vm', 'exits', 'instant')?.name, 'kvm_vm_exits_total');
  assert.equal(metrics.of('vcpu', 'halt_wait_ns', 'cumulative')?.name, 'kvm_vcpu_halt_wait_seconds_total');
  assert.equal(metrics.of('vm', 'pages_4k', 'cumulative')?.name, 'kvm_vm_pages_4k');
});

test('an unknown statistic has the type that its source declares', () => {
  const metrics = new StatisticMetrics();
  assert.deepEqual(
    (['cumulative', 'instant', 'peak', 'unknown'] as const).map(
      (type) => metrics.of('vm', `new_${type}`, type)?.name,
    ),
    ['kvm_vm_new_cumulative_total', 'kvm_vm_new_instant', 'kvm_vm_new_peak', 'kvm_vm_new_unknown_total'],
  );
  assert.equal(metrics.of('vm', 'new_hist', 'log2-histogram'), undefined);
  assert.equal(metrics.of('vm', 'max_new', 'cumulative')?.name, 'kvm_vm_max_new', 'a maximum is no counter');
});

test('two unknown statistics never share a metric', () => {
  const metrics = new StatisticMetrics();
  assert.equal(metrics.of('vm', 'lag_ns', 'cumulative')?.name, 'kvm_vm_lag_seconds_total');
  assert.equal(metrics.of('vm', 'lag_seconds', 'cumulative'), undefined);
  assert.equal(metrics.of('vm', 'lag_seconds_total', 'instant'), undefined);
  assert.equal(metrics.of('vm', 'vcpus', 'instant'), undefined, 'nor the name of another metric');
});

test('unknown statistics are bounded', () => {
  const metrics = new StatisticMetrics();
  const made = Array.from({ length: 500 }, (_, i) => metrics.of('vm', `new_${i}`, 'cumulative'));
  assert.equal(made.filter((metric) => metric !== undefined).length, 64);
  assert.ok(metrics.of('vm', 'new_0', 'cumulative'), 'those that were given stay');
});
