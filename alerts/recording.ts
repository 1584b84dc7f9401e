import { STAGES } from '../exporter/metrics/stages.ts';
import { TECHNIQUES, type Technique, type TechniqueState } from '../exporter/metrics/techniques.ts';
import {
  add,
  and,
  clampMin,
  compare,
  count,
  countOverTime,
  div,
  equal,
  gauge,
  groupLeft,
  histogramQuantile,
  type Matcher,
  type Matchers,
  max,
  maxOverTime,
  min,
  mul,
  notRegexp,
  on,
  or,
  quantileOverTime,
  rate,
  recordedSeries,
  regexp,
  sub,
  subquery,
  sum,
  topkBy,
  unless,
  type Vector,
} from '../promql/promql.ts';
import {
  baseline,
  EXITS_PER_IO,
  EXITS_PER_PATH_EVENT,
  MIN_IOPS,
  MIN_IOPS_OF_LATENCY,
  SAMPLED_WINDOW,
  TOP,
  unknownIos,
  WINDOW,
} from './thresholds.ts';

/**
 * Labels of the recorded series of VMs and hosts. Every list of labels begins with these, so another external label is added
 * in one place (decision 0047). Series without a `cluster` stay without it.
 */
export const HOST = ['cluster', 'job', 'instance'] as const;
export const VM = [...HOST, 'vm'] as const;
/** Labels of the sums over the hosts of a cluster. */
const CLUSTER = ['cluster', 'job'] as const;
type Vm = (typeof VM)[number];
type Host = (typeof HOST)[number];
type Cluster = (typeof CLUSTER)[number];

export interface RecordingRule<L extends string> {
  readonly expr: Vector<L>;
  /** Meaning and unit. */
  readonly help: string;
}

function rule<L extends string>(help: string, expr: Vector<L>): RecordingRule<L> {
  return { expr, help };
}

/** Expressions per VM, over a window, for the VMs that match. Rules record them and dashboards show them. */
export const ofVm = {
  /** As counted by KVM, else as traced. */
  exits: (window: string, of: Matchers<Vm> = {}): Vector<Vm> =>
    or(
      sum(rate('kvm_vm_exits_total', window, of), VM),
      sum(rate('kvm_vm_exits_by_reason_total', window, of), VM),
    ),
  /** As requested by the guest, else as requests to the host's block devices. */
  ios: (window: string, of: Matchers<Vm> = {}): Vector<Vm> =>
    or(
      add(
        sum(rate('kvm_vm_disk_reads_completed_total', window, of), VM),
        sum(rate('kvm_vm_disk_writes_completed_total', window, of), VM),
      ),
      sum(rate('kvm_vm_block_requests_total', window, of), VM),
    ),
  ioPathEvents: (window: string, of: Matchers<Vm | 'step'> = {}): Vector<Vm | 'step'> =>
    sum(rate('kvm_vm_io_path_events_total', window, of), [...VM, 'step']),
  cores: (window: string, of: Matchers<Vm> = {}): Vector<Vm | 'role'> =>
    sum(rate('kvm_thread_cpu_seconds_total', window, of), [...VM, 'role']),
  /** Wait of the thread that waits longest. */
  wait: (window: string, of: Matchers<Vm> = {}): Vector<Vm | 'role'> =>
    max(rate('kvm_thread_wait_seconds_total', window, of), [...VM, 'role']),
  /** The cgroups of a VM are nested, so they are not added up. */
  throttled: (window: string, of: Matchers<Vm> = {}): Vector<Vm> =>
    max(rate('kvm_vm_throttled_seconds_total', window, of), VM),
  diskIos: (window: string, of: Matchers<Vm> = {}): Vector<Vm | 'disk'> =>
    add(
      sum(rate('kvm_vm_disk_reads_completed_total', window, of), [...VM, 'disk']),
      sum(rate('kvm_vm_disk_writes_completed_total', window, of), [...VM, 'disk']),
    ),
  diskSeconds: (window: string, of: Matchers<Vm> = {}): Vector<Vm | 'disk'> =>
    add(
      sum(rate('kvm_vm_disk_read_time_seconds_total', window, of), [...VM, 'disk']),
      sum(rate('kvm_vm_disk_write_time_seconds_total', window, of), [...VM, 'disk']),
    ),
  /** Index of the detected stage in `STAGES`; -1 if the techniques in force fit no stage. */
  stageRank: (of: Matchers<Vm> = {}): Vector<Vm> => {
    const detected = (stage: Matcher): Vector<Vm> =>
      max(gauge('kvm_vm_stage_info', { ...of, stage, source: equal('detected') }), VM);
    const ranks = STAGES.map((stage, rank) => mul(detected(equal(stage)), rank)).reverse();
    return [...ranks, mul(detected(notRegexp(STAGES.join('|'))), -1)].reduce((a, b) => or(a, b));
  },
  /** 1 for each technique in one of these states. */
  technique: (technique: Technique, states: readonly TechniqueState[], of: Matchers<Vm> = {}): Vector<Vm> =>
    max(
      compare(
        gauge('kvm_vm_technique_state', {
          ...of,
          technique: equal(technique),
          state: regexp(states.join('|')),
        }),
        '==',
        1,
      ),
      VM,
    ),
} as const;

/**
 * Work per I/O over all VMs: a ratio of sums over the VMs with both numbers. A sum or mean of ratios would
 * weigh a VM with ten I/Os per second as much as one with a million.
 */
export const perIo = <L extends string, const B extends readonly (L | Vm)[]>(
  of: Vector<L | Vm>,
  ios: Vector<Vm>,
  by: B,
): Vector<B[number]> =>
  div(sum(and(of, on(...VM), ios), by), on(), groupLeft(), sum(and(ios, on(...VM), of), [])) as Vector<
    B[number]
  >;

/** The smaller value of two vectors with the same labels, where both have one. */
const smaller = (a: Vector<Vm>, b: Vector<Vm>): Vector<Vm> => or(compare(a, '<=', b), compare(b, '<', a));

const vcpus = compare(gauge('kvm_vm_vcpus'), '>', 0);
export const kicksInjectionsEois = { step: regexp('kick|inject|eoi') };
/** Exits after which a vCPU waits for an interrupt. The wait is not part of the exit's cost. */
export const HALTS = 'HLT|hlt|idle-halt|WFx|WFI|WFE';

/**
 * Rules per VM. Names are level:metric:operation (prometheus.io/docs/practices/rules); the level `vm` has the
 * labels `job` and `instance` too. Prometheus evaluates the rules of a group in order, so a rule comes after
 * the rules that it uses.
 */
const perVm = {
  'vm:kvm_exits:rate': rule(
    "Exits per second, from KVM's counters, or from the trace if there are none.",
    ofVm.exits(WINDOW),
  ),
  'vm:kvm_ios:rate': rule(
    'I/Os per second as requested by the guest, or requests to the block devices of the host if the VMM does not count.',
    ofVm.ios(WINDOW),
  ),
  'vm_step:kvm_io_path_events:rate': rule(
    'Exits per second by step of the I/O path.',
    ofVm.ioPathEvents(WINDOW),
  ),
  'vm_role:kvm_cpu_seconds:rate': rule('Cores in use by thread role.', ofVm.cores(WINDOW)),
  'vm_role:kvm_wait_seconds:max_rate': rule(
    'Share of time that the most starved thread waits for a CPU, by role.',
    ofVm.wait(WINDOW),
  ),
  'vm:kvm_throttled_seconds:max_rate': rule(
    'CPU seconds per second for which a CPU quota stops the VM, in the cgroup where it is most.',
    ofVm.throttled(WINDOW),
  ),
  'vm_role:kvm_run_seconds:max_rate': rule(
    'Share of time that the busiest thread runs, by role.',
    max(rate('kvm_thread_run_seconds_total', WINDOW), [...VM, 'role']),
  ),
  'vm:kvm_halt_poll_fail_seconds:rate': rule(
    'Cores wasted on failed halt polls.',
    sum(rate('kvm_vm_halt_poll_fail_seconds_total', WINDOW), VM),
  ),
  'vm_disk:kvm_disk_ios:rate': rule('Operations per second, by disk.', ofVm.diskIos(WINDOW)),
  'vm_disk:kvm_disk_latency_seconds:mean': rule(
    'Mean seconds of a read or write as measured by the VMM, by disk.',
    div(
      ofVm.diskSeconds(WINDOW),
      compare(recordedSeries<Vm | 'disk'>('vm_disk:kvm_disk_ios:rate', {}), '>', MIN_IOPS_OF_LATENCY),
    ),
  ),
  'vm:kvm_exit_duration_seconds:p99': rule(
    'Seconds from exit to entry, 99th percentile, halts excluded.',
    histogramQuantile<Vm>(
      0.99,
      sum(rate('kvm_vm_exit_duration_seconds_bucket', SAMPLED_WINDOW, { reason: notRegexp(HALTS) }), [
        ...VM,
        'le',
      ]),
    ),
  ),
} as const;

const exits = recordedSeries<Vm>('vm:kvm_exits:rate', {});
const ios = recordedSeries<Vm>('vm:kvm_ios:rate', {});
const busy = compare(ios, '>', MIN_IOPS);
// The maximum, because a rate falls over its window once the counter ends.
const iosBefore = maxOverTime(subquery(ios, unknownIos.memory, unknownIos.resolution));
const cores = recordedSeries<Vm | 'role'>('vm_role:kvm_cpu_seconds:rate', {});
const events = (matchers: Matchers<Vm | 'step'>): Vector<Vm | 'step'> =>
  recordedSeries('vm_step:kvm_io_path_events:rate', matchers);

/** VMs with this part of their I/O hidden from the host. */
const hidden = (what: 'io' | 'exits'): Vector<Vm> =>
  compare(min(gauge('kvm_vm_visibility', { what: equal(what) }), VM), '==', 0);

const ofIos = mul(or(ios, iosBefore), EXITS_PER_IO);
/** Without VMs whose exits have no reasons: their steps are not all counted. */
const onIoPath = unless(sum(events(kicksInjectionsEois), VM), on(...VM), hidden('exits'));
const ofPath = mul(onIoPath, EXITS_PER_PATH_EVENT);

/** Derived from the series that the rules above record. */
const derived = {
  'vm_step:kvm_io_path_events:per_io': rule(
    'Exits per I/O by step of the I/O path.',
    div(events({}), on(...VM), groupLeft(), busy),
  ),
  'vm:kvm_io_path_events:per_io': rule(
    'Kicks, injections and EOIs per I/O: three in the original, almost none with exitless polling.',
    div(onIoPath, busy),
  ),
  'vm:kvm_cpu_seconds:rate': rule('Cores in use, all threads.', sum(cores, VM)),
  'vm:kvm_cpu_seconds:per_io': rule('CPU seconds per I/O, all threads.', div(sum(cores, VM), busy)),
  'vm:kvm_excess_exits:per_vcpu': rule(
    `Exits per second and vCPU in excess of ${EXITS_PER_IO} per I/O or, if traced and fewer, ${EXITS_PER_PATH_EVENT} per kick, injection and EOI.`,
    // If the I/Os of a VM were never known, all its exits count; if the host cannot see them, only the path explains exits.
    div(
      clampMin(
        sub(
          exits,
          or(
            unless(or(smaller(ofPath, ofIos), or(ofIos, mul(exits, 0))), on(...VM), hidden('io')),
            and(ofPath, on(...VM), hidden('io')),
          ),
        ),
        0,
      ),
      vcpus,
    ),
  ),
  'vm:kvm_drifting_threads:count': rule(
    'Threads that violate their expected affinity.',
    sum(gauge('kvm_vm_affinity_drift_threads'), VM),
  ),
  'vm_technique:kvm_technique_lost_timestamp_seconds:max': rule(
    'When a technique was lost, in seconds since the epoch. Only techniques that are lost.',
    and(
      max(gauge('kvm_vm_technique_since_timestamp_seconds'), [...VM, 'technique']),
      on(...VM, 'technique'),
      compare(gauge('kvm_vm_technique_state', { state: equal('lost') }), '==', 1),
    ),
  ),
  'vm:kvm_techniques_in_force:count': rule(
    `Techniques of the paper in force: ${TECHNIQUES.join(', ')}.`,
    sum(gauge('kvm_vm_technique_state', { state: equal('in_force') }), VM),
  ),
} as const;

/** States of a VM that is on another host. */
export const ELSEWHERE = regexp('inmigrate|postmigrate');

const hostSum = (name: string): Vector<Host> => sum(recordedSeries<Vm>(name, {}), HOST);

/** VMs on another host: a live migration has a process at its source and one at its destination. */
const elsewhere = gauge('kvm_vm_state_info', { state: ELSEWHERE });
const here = <L extends string>(vms: Vector<L | Vm>): Vector<L | Vm> => unless(vms, on(...VM), elsewhere);

/** Sums over the VMs of a host, for dashboards of many hosts. */
const perHost = {
  'host:kvm_vms:count': rule(
    'Number of VMs. One that arrives by live migration, or that has left, counts at its other end.',
    // 0 if the only VM is one of these, because the series shows that the host exists.
    or(count(here(gauge('kvm_vm_vcpus')), HOST), mul(count(gauge('kvm_vm_vcpus'), HOST), 0)),
  ),
  'host_stage:kvm_vms:count': rule(
    'VMs by detected stage, without those that arrive or have left.',
    count(here(gauge('kvm_vm_stage_info', { source: equal('detected') })), [...HOST, 'stage']),
  ),
  'host_technique_state:kvm_vms:count': rule(
    'VMs by technique and its state, without those that arrive or have left.',
    sum(here(gauge('kvm_vm_technique_state')), [...HOST, 'technique', 'state']),
  ),
  'host:kvm_exits:rate': rule('Exits per second.', hostSum('vm:kvm_exits:rate')),
  'host:kvm_ios:rate': rule('I/Os per second.', hostSum('vm:kvm_ios:rate')),
  'host_step:kvm_io_path_events:rate': rule(
    'Exits per second by step of the I/O path.',
    sum(events({}), [...HOST, 'step']),
  ),
  'host_role:kvm_cpu_seconds:rate': rule('Cores in use by thread role.', sum(cores, [...HOST, 'role'])),
  'host:kvm_io_path_events:matched_rate': rule(
    `Kicks, injections and EOIs per second of VMs with more than ${MIN_IOPS} I/Os per second.`,
    sum(and(onIoPath, on(...VM), busy), HOST),
  ),
  'host:kvm_ios:matched_rate': rule(
    `I/Os per second of the same VMs: those with a traced I/O path and more than ${MIN_IOPS} I/Os per second.`,
    sum(and(busy, on(...VM), onIoPath), HOST),
  ),
  'host:kvm_io_path_events:per_io': rule(
    'Kicks, injections and EOIs per I/O, over the VMs with both values.',
    div(
      recordedSeries<Host>('host:kvm_io_path_events:matched_rate', {}),
      recordedSeries<Host>('host:kvm_ios:matched_rate', {}),
    ),
  ),
  'host:kvm_drifting_vms:count': rule(
    'VMs with threads that violate their expected affinity.',
    count(compare(recordedSeries<Vm>('vm:kvm_drifting_threads:count', {}), '>', 0), HOST),
  ),
  'host:kvm_telemetry_failing_collectors:count': rule(
    'Collectors that failed in the last scrape.',
    count(compare(gauge('kvm_telemetry_collector_success'), '==', 0), HOST),
  ),
  'host:kvm_cpu_wait_seconds:rate': rule(
    'Mean number of tasks that wait for a CPU.',
    sum(rate('kvm_cpu_wait_seconds_total', WINDOW), HOST),
  ),
} as const;

const top = (help: string, of: Vector<Vm>): RecordingRule<Vm> =>
  rule(`${help} The ${TOP} VMs of a host where it is most.`, topkBy(TOP, of, HOST));

const worst = {
  'vm_top:kvm_excess_exits:per_vcpu': top(
    'Exits per second and vCPU in excess of the I/Os.',
    recordedSeries<Vm>('vm:kvm_excess_exits:per_vcpu', {}),
  ),
  'vm_top:kvm_io_path_events:per_io': top(
    'Kicks, injections and EOIs per I/O.',
    recordedSeries<Vm>('vm:kvm_io_path_events:per_io', {}),
  ),
  'vm_top:kvm_exit_duration_seconds:p99': top(
    'Seconds from exit to entry, 99th percentile, halts excluded.',
    recordedSeries<Vm>('vm:kvm_exit_duration_seconds:p99', {}),
  ),
  'vm_top:kvm_vcpu_wait_seconds:max_rate': top(
    'Share of time that the most starved vCPU waits for a CPU.',
    max(recordedSeries<Vm | 'role'>('vm_role:kvm_wait_seconds:max_rate', { role: equal('vcpu') }), VM),
  ),
  'vm_top:kvm_io_thread_run_seconds:max_rate': top(
    'Share of time that the busiest thread of any other role than vcpu runs.',
    max(recordedSeries<Vm | 'role'>('vm_role:kvm_run_seconds:max_rate', { role: notRegexp('vcpu') }), VM),
  ),
  'vm_top:kvm_drifting_threads:count': top(
    'Threads that violate their expected affinity, if there are any.',
    compare(recordedSeries<Vm>('vm:kvm_drifting_threads:count', {}), '>', 0),
  ),
} as const;

const clusterSum = <L extends string = never>(
  name: keyof typeof perHost,
  by: readonly L[] = [],
): Vector<Cluster | L> => sum(recordedSeries<Host | L>(name, {}), [...CLUSTER, ...by]);

const topOfCluster = <L extends string = never>(
  name: keyof typeof worst | keyof typeof derived,
): RecordingRule<Vm | L> =>
  rule(
    `The ${TOP} highest of a cluster of \`${name}\`.`,
    topkBy(TOP, recordedSeries<Vm | L>(name, {}), CLUSTER),
  );

const topHosts = (of: Vector<Host>, help: string): RecordingRule<Host> =>
  rule(`${help} The ${TOP} hosts of a cluster where it is most.`, topkBy(TOP, of, CLUSTER));

/** Sums over the hosts of a cluster, so that no fleet panel reads a series of each host for one number. */
const perCluster = {
  'cluster:kvm_hosts_up:count': rule(
    'Targets of the job that can be scraped.',
    count(compare(gauge('up'), '==', 1), CLUSTER),
  ),
  'cluster:kvm_hosts_down:count': rule(
    'Targets of the job that cannot be scraped.',
    count(compare(gauge('up'), '==', 0), CLUSTER),
  ),
  'cluster_version:kvm_hosts:count': rule(
    'Hosts by the version of their exporter.',
    count(max(gauge('kvm_telemetry_build_info'), [...HOST, 'version']), [...CLUSTER, 'version']),
  ),
  'cluster:kvm_vms:count': rule('Number of VMs.', clusterSum('host:kvm_vms:count')),
  'cluster_stage:kvm_vms:count': rule(
    'VMs by detected stage.',
    clusterSum<'stage'>('host_stage:kvm_vms:count', ['stage']),
  ),
  'cluster_technique_state:kvm_vms:count': rule(
    'VMs by technique and its state.',
    clusterSum<'technique' | 'state'>('host_technique_state:kvm_vms:count', ['technique', 'state']),
  ),
  'cluster:kvm_exits:rate': rule('Exits per second.', clusterSum('host:kvm_exits:rate')),
  'cluster:kvm_ios:rate': rule('I/Os per second.', clusterSum('host:kvm_ios:rate')),
  'cluster_step:kvm_io_path_events:rate': rule(
    'Exits per second by step of the I/O path.',
    clusterSum<'step'>('host_step:kvm_io_path_events:rate', ['step']),
  ),
  'cluster_role:kvm_cpu_seconds:rate': rule(
    'Cores in use by thread role.',
    clusterSum<'role'>('host_role:kvm_cpu_seconds:rate', ['role']),
  ),
  'cluster:kvm_io_path_events:matched_rate': rule(
    'Kicks, injections and EOIs per second of the VMs of `host:kvm_io_path_events:matched_rate`.',
    clusterSum('host:kvm_io_path_events:matched_rate'),
  ),
  'cluster:kvm_ios:matched_rate': rule(
    'I/Os per second of the same VMs.',
    clusterSum('host:kvm_ios:matched_rate'),
  ),
  'cluster:kvm_drifting_vms:count': rule(
    'VMs with threads that violate their expected affinity.',
    clusterSum('host:kvm_drifting_vms:count'),
  ),
  'cluster:kvm_telemetry_failing_collectors:count': rule(
    'Collectors that failed in the last scrape.',
    clusterSum('host:kvm_telemetry_failing_collectors:count'),
  ),
  'cluster_top_host:kvm_io_path_events:per_io': topHosts(
    recordedSeries<Host>('host:kvm_io_path_events:per_io', {}),
    'Kicks, injections and EOIs per I/O.',
  ),
  'cluster_top_host:kvm_exits:rate': topHosts(
    recordedSeries<Host>('host:kvm_exits:rate', {}),
    'Exits per second.',
  ),
  'cluster_top_host:kvm_ios:rate': topHosts(
    recordedSeries<Host>('host:kvm_ios:rate', {}),
    'I/Os per second.',
  ),
  'cluster_top_host:kvm_drifting_vms:count': topHosts(
    recordedSeries<Host>('host:kvm_drifting_vms:count', {}),
    'VMs with threads that violate their expected affinity.',
  ),
  'cluster_top_host:kvm_cpu_wait_seconds:rate': topHosts(
    recordedSeries<Host>('host:kvm_cpu_wait_seconds:rate', {}),
    'Mean number of tasks that wait for a CPU.',
  ),
  'cluster_top_host:scrape_duration_seconds:max': topHosts(
    max(gauge('scrape_duration_seconds'), HOST),
    'Seconds of a scrape.',
  ),
  'cluster_top_host:kvm_telemetry_series:max': topHosts(
    max(gauge('kvm_telemetry_series'), HOST),
    'Series of an exporter.',
  ),
  'cluster_top:kvm_excess_exits:per_vcpu': topOfCluster('vm_top:kvm_excess_exits:per_vcpu'),
  'cluster_top:kvm_io_path_events:per_io': topOfCluster('vm_top:kvm_io_path_events:per_io'),
  'cluster_top:kvm_exit_duration_seconds:p99': topOfCluster('vm_top:kvm_exit_duration_seconds:p99'),
  'cluster_top:kvm_vcpu_wait_seconds:max_rate': topOfCluster('vm_top:kvm_vcpu_wait_seconds:max_rate'),
  'cluster_top:kvm_io_thread_run_seconds:max_rate': topOfCluster('vm_top:kvm_io_thread_run_seconds:max_rate'),
  'cluster_top:kvm_drifting_threads:count': topOfCluster('vm_top:kvm_drifting_threads:count'),
  'cluster_top:kvm_technique_lost_timestamp_seconds:max': topOfCluster<'technique'>(
    'vm_technique:kvm_technique_lost_timestamp_seconds:max',
  ),
} as const;

const excess = recordedSeries<Vm>('vm:kvm_excess_exits:per_vcpu', {});
const { window, resolution, quantile, minPoints } = baseline;

/** The window is a day, so these rules are in a separate group with a longer interval. */
const perDay = {
  'vm:kvm_excess_exits:baseline': rule(
    `Excess exits per second and vCPU, ${Math.round(quantile * 100)}th percentile of the last day. A new VM has no baseline.`,
    and(
      quantileOverTime(quantile, subquery(excess, window, resolution)),
      on(...VM),
      compare(countOverTime(subquery(excess, window, resolution)), '>=', minPoints),
    ),
  ),
} as const;

/** Groups of the rule file, in order. */
export const recordingGroups = {
  'kvm-telemetry-vm': { ...perVm, ...derived },
  'kvm-telemetry-host': { ...perHost, ...worst },
  'kvm-telemetry-cluster': perCluster,
  'kvm-telemetry-baseline': perDay,
} as const;

/** The store evaluates these, over the series of all hosts. */
export const CENTRAL_GROUP = 'kvm-telemetry-cluster';

const recording = { ...perVm, ...derived, ...perHost, ...worst, ...perCluster, ...perDay } as const;

export type RecordedName = keyof typeof recording;
export type RecordedLabels<N extends RecordedName> =
  (typeof recording)[N] extends RecordingRule<infer L> ? L : never;

/** Expression and description of each recorded series. */
export const recordingRules: Readonly<
  Record<string, { readonly expr: { readonly promql: string }; readonly help: string }>
> = recording;

/** Selects a recorded series. An unknown name or label does not compile. */
export function recorded<N extends RecordedName>(
  name: N,
  matchers: Matchers<RecordedLabels<N>> = {},
): Vector<RecordedLabels<N>> {
  return recordedSeries(name, matchers);
}

/** Query of a dashboard variable: the values of a label of a recorded series. */
export function recordedLabelValues<N extends RecordedName>(
  name: N,
  label: RecordedLabels<N>,
  matchers: Matchers<RecordedLabels<N>> = {},
): string {
  return `label_values(${recorded(name, matchers).promql}, ${label})`;
}
