import type { Family } from '../metrics/families.ts';
import type { LiveDetail, LiveHistogram, LiveReport, LiveThread } from './live.ts';
import { type FamilyIndex, type HistogramPart, histogramOfVm, indexOf, samplesOfVm } from './samples.ts';

/** One VM's threads, exits and queues from a collection, with the report of doctor. */
export function liveDetail(
  families: readonly Family[],
  vm: string,
  at: number,
  report: LiveReport | undefined,
): LiveDetail {
  const index = indexOf(families);
  const reasons = [...samplesOfVm(index, 'kvm_vm_exits_by_reason_total', vm)];
  return {
    vm,
    at,
    report,
    threads: threadsOf(index, vm),
    reasons: Object.fromEntries(reasons.map(({ labels, value }) => [labels.reason, value])),
    durations: histograms(histogramOfVm(index, 'kvm_vm_exit_duration_seconds', vm)),
    kicks: [...samplesOfVm(index, 'kvm_virtqueue_kicks_total', vm)].map(
      ({ labels: { queue, vcpu }, value }) => ({ queue, vcpu, count: value }),
    ),
    queues: [...samplesOfVm(index, 'kvm_virtqueue_info', vm)].map(
      ({ labels: { queue, address, device } }) => ({ queue, address, device }),
    ),
  };
}

type ThreadMetric =
  | 'kvm_thread_numa_node'
  | 'kvm_thread_run_seconds_total'
  | 'kvm_thread_wait_seconds_total'
  | 'kvm_thread_migrations_total'
  | 'kvm_thread_observed_migrations_total';

/** Long-lived threads. Short-lived threads are summed by role and have no CPU of their own. */
function threadsOf(index: FamilyIndex, vm: string): LiveThread[] {
  const byThread = (name: ThreadMetric): Record<string, number> =>
    Object.fromEntries([...samplesOfVm(index, name, vm)].map(({ labels, value }) => [labels.thread, value]));
  const nodes = byThread('kvm_thread_numa_node');
  const run = byThread('kvm_thread_run_seconds_total');
  const wait = byThread('kvm_thread_wait_seconds_total');
  const counted = byThread('kvm_thread_migrations_total');
  const observed = byThread('kvm_thread_observed_migrations_total');
  return [...samplesOfVm(index, 'kvm_thread_cpu', vm)].map(({ labels: { thread, role }, value }) => ({
    thread,
    role,
    cpu: value,
    node: nodes[thread],
    run: run[thread],
    wait: wait[thread],
    migrations: counted[thread] ?? observed[thread],
  }));
}

function histograms(
  parts: Iterable<HistogramPart<'kvm_vm_exit_duration_seconds'>>,
): Record<string, LiveHistogram> {
  const found = new Map<string, { buckets: [number | null, number][]; sum?: number; count: number }>();
  for (const { labels, value, suffix, le } of parts) {
    const histogram = found.get(labels.reason) ?? { buckets: [], count: 0 };
    found.set(labels.reason, histogram);
    if (le !== undefined) histogram.buckets.push([le === '+Inf' ? null : Number(le), value]);
    else if (suffix === '_sum') histogram.sum = value;
    else histogram.count = value;
  }
  return Object.fromEntries(
    [...found].map(([reason, { buckets, sum, count }]) => [reason, { buckets, sum, count }]),
  );
}
