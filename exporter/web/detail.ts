import type { Family } from '../metrics/families.ts';
import type { Counts, LiveDetail, LiveHistogram, LiveReport, LiveThread } from './live.ts';
import { type FamilyIndex, indexOf, type Sample, samplesOfVm } from './samples.ts';

/** One VM's threads, exits and queues as a collection has them, and what doctor says of it. */
export function liveDetail(
  families: readonly Family[],
  vm: string,
  at: number,
  report: LiveReport | undefined,
): LiveDetail {
  const index = indexOf(families);
  return {
    ...{ vm, at, report },
    threads: threadsOf(index, vm),
    reasons: byLabel(index, 'kvm_vm_exits_by_reason_total', vm, 1) as Counts,
    durations: histograms(samplesOfVm(index, 'kvm_vm_exit_duration_seconds', vm)),
    kicks: [...samplesOfVm(index, 'kvm_virtqueue_kicks_total', vm)].map(({ labels, value }) => ({
      queue: labels[1] ?? '',
      vcpu: labels[2] ?? '',
      count: value,
    })),
    queues: [...samplesOfVm(index, 'kvm_virtqueue_info', vm)].map(({ labels }) => ({
      queue: labels[1] ?? '',
      address: labels[2] ?? '',
      device: labels[3] ?? '',
    })),
  };
}

/** Threads that have a place; those that come and go are summed by role and have none. */
function threadsOf(index: FamilyIndex, vm: string): LiveThread[] {
  const of = (name: string): Record<string, number> => byLabel(index, name, vm, 1);
  const nodes = of('kvm_thread_numa_node');
  const run = of('kvm_thread_run_seconds_total');
  const wait = of('kvm_thread_wait_seconds_total');
  const counted = of('kvm_thread_migrations_total');
  const seen = of('kvm_thread_observed_migrations_total');
  return [...samplesOfVm(index, 'kvm_thread_cpu', vm)].map(({ labels, value }) => {
    const [, thread = '', role = ''] = labels;
    return {
      ...{ thread, role, cpu: value },
      node: nodes[thread],
      run: run[thread],
      wait: wait[thread],
      migrations: counted[thread] ?? seen[thread],
    };
  });
}

function byLabel(index: FamilyIndex, name: string, vm: string, label: number): Record<string, number> {
  return Object.fromEntries(
    [...samplesOfVm(index, name, vm)].map(({ labels, value }) => [labels[label] ?? '', value]),
  );
}

function histograms(samples: Iterable<Sample>): Record<string, LiveHistogram> {
  const found = new Map<string, { buckets: [number | null, number][]; sum?: number; count: number }>();
  for (const { labels, value, suffix } of samples) {
    const [, reason = '', le = ''] = labels;
    const histogram = found.get(reason) ?? { buckets: [], count: 0 };
    found.set(reason, histogram);
    if (suffix === '_bucket') histogram.buckets.push([le === '+Inf' ? null : Number(le), value]);
    else if (suffix === '_sum') histogram.sum = value;
    else histogram.count = value;
  }
  return Object.fromEntries(
    [...found].map(([reason, { buckets, sum, count }]) => [reason, { buckets, sum, count }]),
  );
}
