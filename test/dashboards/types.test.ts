import assert from 'node:assert/strict';
import { it } from 'node:test';
import { recorded } from '../../alerts/recording.ts';
import { buckets, hostGauge, rows, series, vmGauge, vmRate } from '../../dashboards/queries.ts';
import { div, labelValues, sum } from '../../promql/promql.ts';

// The compiler checks each of these lines. A line that compiles fails the build.
const refused: readonly (() => unknown)[] = [
  // @ts-expect-error: no such metric
  () => vmRate('kvm_vm_exitz_total'),
  // @ts-expect-error: a gauge has no rate
  () => vmRate('kvm_vm_vcpus'),
  // @ts-expect-error: a counter is no gauge
  () => hostGauge('kvm_vm_exits_total'),
  // @ts-expect-error: without the label vm
  () => vmGauge('kvm_block_io_now'),
  // @ts-expect-error: no such label of the metric
  () => vmRate('kvm_vm_exits_total', { reason: '="HLT"' }),
  // @ts-expect-error: a matcher without an operator
  () => vmRate('kvm_vm_exits_total', { vm: 'db' }),
  // @ts-expect-error: no such label to sum by
  () => sum(vmRate('kvm_vm_exits_total'), ['reason']),
  // @ts-expect-error: a label in the legend that was summed away
  () => series(sum(vmRate('kvm_vm_exits_by_reason_total'), ['reason']), '{{vm}}'),
  // @ts-expect-error: no such recorded series
  () => rows(recorded('host:kvm_exits:sum')),
  // @ts-expect-error: no such label of the recorded series
  () => recorded('host:kvm_exits:rate', { vm: '="db"' }),
  // @ts-expect-error: other labels on the two sides
  () => div(sum(vmRate('kvm_vm_exits_total'), ['vm']), sum(vmRate('kvm_vm_exits_total'), ['job'])),
  // @ts-expect-error: a heatmap of something without buckets
  () => buckets(sum(vmRate('kvm_vm_exit_duration_seconds_count'), ['vm'])),
  // @ts-expect-error: values of a label that the metric does not have
  () => labelValues('kvm_vm_stage_info', 'phase'),
];

it('a renamed metric or label does not compile', () => {
  assert.equal(refused.length, 13);
});
