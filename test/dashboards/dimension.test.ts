import assert from 'node:assert/strict';
import { it } from 'node:test';
import { dimensionOf, unitsOf } from './dimension.ts';

const CASES: readonly (readonly [string, string, string])[] = [
  ['rate(kvm_vm_exits_total{vm=~"$vm"}[$__rate_interval])', 'eps', 's'],
  ['sum by (job, vm) (rate(kvm_thread_cpu_seconds_total[2m]))', 'percentunit', 's'],
  ['rate(kvm_block_read_bytes_total[2m])', 'Bps', 'bytes'],
  ['kvm_vm_numa_local_ratio offset $__interval', 'percentunit', 'none'],
  ['kvm_telemetry_collector_duration_seconds', 's', 'eps'],
  ['process_resident_memory_bytes', 'bytes', 'Bps'],
  ['histogram_quantile(0.99, sum by (le) (rate(kvm_vm_exit_duration_seconds_bucket[2m])))', 's', 'eps'],
  ['sum by (le) (rate(kvm_vm_exit_duration_seconds_bucket[2m]))', 'eps', 's'],
  ['((rate(process_cpu_seconds_total[2m])) / on (vm) group_left () (vm:kvm_ios:rate)) * 1000', 's', 'none'],
  ['avg_over_time((up) [1h:1m] @ end())', 'short', 's'],
  ['(kvm_vm_vcpus offset -2m) and on (vm) (up)', 'short', 'bytes'],
];

for (const [promql, unit, other] of CASES) {
  it(`${promql} may be in ${unit}, and not in ${other}`, () => {
    const units = unitsOf(dimensionOf(promql));
    assert.ok(units.includes(unit), units.join());
    assert.ok(!units.includes(other), units.join());
  });
}
