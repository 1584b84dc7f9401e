import {
  and,
  avgOverTime,
  compare,
  count,
  countOverTime,
  equal,
  groupLeft,
  lastOverTime,
  type Matcher,
  max,
  mul,
  on,
  recordedRange,
  recordedSeries,
  regexp,
  sum,
  unless,
  type Vector,
} from '../../../promql/promql.ts';
import { type Grouping, HOST, VM } from './grouping.ts';

/** The mean of a series over the window, once if several replicas sent it. */
type Mean = (name: string, by: readonly string[], more?: Readonly<Record<string, Matcher>>) => Vector<string>;

interface Term {
  /** From the series of hosts. undefined if only VMs have them. */
  readonly ofHost?: (mean: Mean) => Vector<string>;
  /** For each VM. */
  readonly ofVm: (mean: Mean) => Vector<string>;
  /** How VMs become a number of the host. */
  readonly unite: 'sum' | 'count';
}

const DISK = [...VM, 'disk'];
const ios = (mean: Mean): Vector<string> => mean('vm:kvm_ios:rate', VM);
const perIo = (mean: Mean): Vector<string> => mean('vm:kvm_io_path_events:per_io', VM);
const diskIos = (mean: Mean): Vector<string> => mean('vm_disk:kvm_disk_ios:rate', DISK);
const latency = (mean: Mean): Vector<string> => mean('vm_disk:kvm_disk_latency_seconds:mean', DISK);
const exitTime = (mean: Mean): Vector<string> => mean('vm:kvm_exit_duration_seconds:p99', VM);

const ofVms = (name: string, more?: Readonly<Record<string, Matcher>>): Term => ({
  ofVm: (mean) => mean(name, VM, more),
  unite: 'sum',
});
const ofHosts = (name: string, ofVm: Term['ofVm'], unite: Term['unite'] = 'sum'): Term => ({
  ofHost: (mean) => mean(name, HOST),
  ofVm,
  unite,
});

/** The terms of the metrics, as numbers of a host. */
const TERMS = {
  vms: ofHosts('host:kvm_vms:count', (mean) => mean('kvm_vm_vcpus', VM), 'count'),
  ios: ofHosts('host:kvm_ios:rate', ios),
  exits: ofHosts('host:kvm_exits:rate', (mean) => mean('vm:kvm_exits:rate', VM)),
  path_events: ofHosts('host:kvm_io_path_events:matched_rate', (mean) => mul(perIo(mean), ios(mean))),
  path_ios: ofHosts('host:kvm_ios:matched_rate', (mean) => and(ios(mean), on(...VM), perIo(mean))),
  cpu: {
    ofHost: (mean) => sum(mean('host_role:kvm_cpu_seconds:rate', [...HOST, 'role']), HOST),
    ofVm: (mean) => mean('vm:kvm_cpu_seconds:rate', VM),
    unite: 'sum',
  },
  // A latency counts as often as its I/Os.
  disk_seconds: { ofVm: (mean) => sum(mul(latency(mean), diskIos(mean)), VM), unite: 'sum' },
  disk_ios: { ofVm: (mean) => sum(and(diskIos(mean), on(...DISK), latency(mean)), VM), unite: 'sum' },
  vcpu_wait: ofVms('vm_role:kvm_wait_seconds:max_rate', { role: equal('vcpu') }),
  throttled: ofVms('vm:kvm_throttled_seconds:max_rate'),
  halt_poll: ofVms('vm:kvm_halt_poll_fail_seconds:rate'),
  exit_seconds: ofVms('vm:kvm_exit_duration_seconds:p99'),
  exit_seconds_vms: { ofVm: exitTime, unite: 'count' },
} as const satisfies Readonly<Record<string, Term>>;

export type TermName = keyof typeof TERMS;

/** The hosts, and the seconds over which a value is a mean. */
export interface FleetWindow {
  /** Regular expression of the label `instance`; undefined for all. */
  readonly instances: string | undefined;
  /** undefined for all. */
  readonly cluster?: string | undefined;
  readonly seconds: number;
}

/** Whether a term is read from the series of hosts, of which there are few. */
export function isFromHosts(name: TermName, { isOfVm }: Grouping): boolean {
  const { ofHost }: Term = TERMS[name];
  return !isOfVm && ofHost !== undefined;
}

function meanIn(window: FleetWindow): Mean {
  return (series, by, more = {}) =>
    max(avgOverTime(recordedRange(series, `${window.seconds}s`, { ...instancesOf(window), ...more })), by);
}

/** The VMs of each host. */
export function vmsQuery(window: FleetWindow): string {
  return meanIn(window)('host:kvm_vms:count', HOST).promql;
}

/** A term of each host, and of each group of its VMs if VMs make the groups. */
export function termQuery(name: TermName, grouping: Grouping, window: FleetWindow): string {
  const mean = meanIn(window);
  const { ofHost, ofVm, unite }: Term = TERMS[name];
  const united = { sum, count }[unite];
  if (grouping.isOfVm) {
    const joined = mul(ofVm(mean), on(...VM), groupLeft(grouping.label), groupOfVm(grouping, window));
    return united(joined, [...HOST, grouping.label]).promql;
  }
  return (ofHost?.(mean) ?? united(ofVm(mean), HOST)).promql;
}

/** 1 for each VM with its group. A VM with two groups in the window belongs to neither. */
function groupOfVm({ metric, label }: Grouping, window: FleetWindow): Vector<string> {
  const range = recordedRange<string>(metric, `${window.seconds}s`, instancesOf(window));
  const found = max(lastOverTime(range), [...VM, label]);
  return unless(found, on(...VM), compare(count(found, VM), '>', 1));
}

/** The values of the label that a host had in the window. */
export function groupsQuery({ metric, label }: Grouping, window: FleetWindow): string {
  const range = recordedRange<string>(metric, `${window.seconds}s`, instancesOf(window));
  return max(countOverTime(range), [...new Set([...HOST, label])]).promql;
}

/** The series that every host has. */
export function hostsQuery(instances: string | undefined): string {
  return recordedSeries('host:kvm_vms:count', instancesOf({ instances })).promql;
}

function instancesOf({
  instances,
  cluster,
}: Pick<FleetWindow, 'instances' | 'cluster'>): Readonly<Record<string, Matcher>> {
  return {
    ...(instances === undefined ? {} : { instance: regexp(instances) }),
    ...(cluster === undefined ? {} : { cluster: equal(cluster) }),
  };
}
