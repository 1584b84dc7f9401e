import {
  avg,
  avgOverTime,
  counterRange,
  countOverTime,
  equal,
  gaugeRange,
  increase,
  type Matchers,
  max,
  notRegexp,
  rate,
  regexp,
  sum,
} from '../../promql/promql.ts';
import type { Selector, Windows } from './archive.ts';
import { ofSubjects, type Subject } from './subject.ts';
import type { VmCounter, VmGauge } from './terms.ts';

type VmLabel = 'vm' | 'instance' | 'job' | 'cluster';
/** Any counter and any gauge of a VM: they have the labels of all. */
const COUNTER = 'kvm_vm_exits_total';
const GAUGE = 'kvm_vm_vcpus';

/** The series themselves. */
export function seriesQuery({ metric, labels }: Selector): string {
  const { range } = gaugeRange(metric as typeof GAUGE, '1s', matchersOf(labels));
  return range.slice(0, range.lastIndexOf('['));
}

/** All samples of a time before the query's. */
export function samplesQuery({ metric, labels }: Selector, seconds: number): string {
  // Since Prometheus 3 a range does not include its start.
  const window = `${Math.round(seconds * 1000) + 1}ms`;
  return counterRange(metric as typeof COUNTER, window, matchersOf(labels)).range;
}

/** The number of samples in a window. */
export function presenceQuery({ metric, labels }: Selector, seconds: number): string {
  return countOverTime(gaugeRange(metric as typeof GAUGE, `${seconds}s`, matchersOf(labels))).promql;
}

/** A counter's growth or a gauge's mean in a window. */
export function windowQuery({ metric, labels }: Selector, { kind, unite, by, seconds }: Windows): string {
  const kept = ['cluster', 'job', 'instance', 'vm', ...by] as VmLabel[];
  const matchers = matchersOf(labels);
  if (kind === 'level')
    return avg(avgOverTime(gaugeRange(metric as VmGauge as typeof GAUGE, `${seconds}s`, matchers)), kept)
      .promql;
  return (unite === 'max' ? max : sum)(
    increase(metric as VmCounter as typeof COUNTER, `${seconds}s`, matchers),
    kept,
  ).promql;
}

/** CPU seconds per second of all VMs on the same hosts, other than these. */
export function otherVmsQuery(subjects: readonly Subject[], seconds: number): string {
  const { vm = [], instance = [] } = ofSubjects(subjects);
  const others = { ...matchersOf({ instance }), vm: notRegexp(vm.map(escapeRe2).join('|')) };
  return sum(rate('kvm_thread_run_seconds_total', `${seconds}s`, others), []).promql;
}

function matchersOf(labels: Selector['labels']): Matchers<VmLabel> {
  return Object.fromEntries(
    Object.entries(labels).map(([label, values]) => [
      label,
      values.length === 1 ? equal(values[0] ?? '') : regexp(values.map(escapeRe2).join('|')),
    ]),
  );
}

function escapeRe2(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
