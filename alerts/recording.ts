import { STAGES } from '../exporter/metrics/stages.ts';
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
  lesser,
  type Matchers,
  matching,
  minus,
  or,
  plus,
  quantileOverTime,
  rate,
  rateOf,
  recordedSeries,
  subquery,
  sum,
  times,
  unmatching,
  type Vector,
  where,
} from '../promql/promql.ts';
import {
  baseline,
  EXITS_PER_IO,
  EXITS_PER_PATH_EVENT,
  MIN_IOPS,
  MIN_IOPS_OF_LATENCY,
  SAMPLED_WINDOW,
  stages,
  unknownIos,
  WINDOW,
} from './thresholds.ts';

/** Labels of the recorded series of VMs and hosts. */
export const VM = ['job', 'instance', 'vm'] as const;
export const HOST = ['job', 'instance'] as const;
type Vm = (typeof VM)[number];
type Host = (typeof HOST)[number];

/** Detecting pins needs no I/O; detecting the stages above affinity does. */
const AFFINITY = STAGES.indexOf('affinity');

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
      plus(
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
    aggregate('max', rate('kvm_thread_wait_seconds_total', window, of), [...VM, 'role']),
  diskIos: (window: string, of: Matchers<Vm> = {}): Vector<Vm | 'disk'> =>
    plus(
      sum(rate('kvm_vm_disk_reads_completed_total', window, of), [...VM, 'disk']),
      sum(rate('kvm_vm_disk_writes_completed_total', window, of), [...VM, 'disk']),
    ),
  diskSeconds: (window: string, of: Matchers<Vm> = {}): Vector<Vm | 'disk'> =>
    plus(
      sum(rate('kvm_vm_disk_read_time_seconds_total', window, of), [...VM, 'disk']),
      sum(rate('kvm_vm_disk_write_time_seconds_total', window, of), [...VM, 'disk']),
    ),
  /** Index of the detected stage in `STAGES`. */
  stageRank: (of: Matchers<Vm> = {}): Vector<Vm> =>
    STAGES.map((stage, rank) =>
      times(
        aggregate(
          'max',
          gauge('kvm_vm_stage_info', { ...of, stage: equal(stage), source: equal('detected') }),
          VM,
        ),
        rank,
      ),
    ).reduce((a, b) => or(b, a)),
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
  dividedByOn(sum(and(of, VM, ios), by), [], sum(and(ios, VM, of), [])) as Vector<B[number]>;

const vcpus = where(gauge('kvm_vm_vcpus'), '>', 0);
export const kicksInjectionsEois = { step: matching('kick|inject|eoi') };
/** Exits after which a vCPU waits for an interrupt. The wait is not part of the exit's cost. */
export const HALTS = 'HLT|hlt|idle-halt|WFx|WFI|WFE';

/**
 * Rules per VM. Names are level:metric:operation (prometheus.io/docs/practices/rules); the level `vm` has the
 * labels `job` and `instance` too. Prometheus evaluates the rules of a group in order, so a rule comes after
 * the rules that it uses.
 */
const perVm = {
  'vm:kvm_exits:rate': rule('Exits a second: as KVM counts them, else as traced.', ofVm.exits(WINDOW)),
  'vm:kvm_ios:rate': rule(
    'I/Os a second: as the guest asked for them, else as requests to the block devices of the host.',
    ofVm.ios(WINDOW),
  ),
  'vm_step:kvm_io_path_events:rate': rule(
    'Exits a second by stage of the I/O path.',
    ofVm.ioPathEvents(WINDOW),
  ),
  'vm_role:kvm_cpu_seconds:rate': rule('Cores in use by role of the threads.', ofVm.cores(WINDOW)),
  'vm_role:kvm_wait_seconds:max_rate': rule(
    'Share of the time that the thread which waits longest for a CPU waits, by role.',
    ofVm.wait(WINDOW),
  ),
  'vm_role:kvm_run_seconds:max_rate': rule(
    'Share of the time that the busiest thread runs, by role.',
    aggregate('max', rate('kvm_thread_run_seconds_total', WINDOW), [...VM, 'role']),
  ),
  'vm:kvm_halt_poll_fail_seconds:rate': rule(
    'Cores that halt polling wastes.',
    sum(rate('kvm_vm_halt_poll_fail_seconds_total', WINDOW), VM),
  ),
  'vm_disk:kvm_disk_ios:rate': rule('Operations a second by disk.', ofVm.diskIos(WINDOW)),
  'vm_disk:kvm_disk_latency_seconds:mean': rule(
    'Mean seconds of a read or write by disk, as the VMM sees it.',
    dividedBy(
      ofVm.diskSeconds(WINDOW),
      where(recordedSeries<Vm | 'disk'>('vm_disk:kvm_disk_ios:rate', {}), '>', MIN_IOPS_OF_LATENCY),
    ),
  ),
  'vm:kvm_exit_duration_seconds:p99': rule(
    'Seconds from exit to entry, 99th percentile without halts.',
    histogramQuantile<Vm>(
      0.99,
      sum(rateOf('kvm_vm_exit_duration_seconds', 'bucket', SAMPLED_WINDOW, { reason: unmatching(HALTS) }), [
        ...VM,
        'le',
      ]),
    ),
  ),
} as const;

const exits = recordedSeries<Vm>('vm:kvm_exits:rate', {});
const ios = recordedSeries<Vm>('vm:kvm_ios:rate', {});
const busy = where(ios, '>', MIN_IOPS);
// The maximum, because a rate falls over its window once nobody counts.
const iosBefore = subquery('max', ios, unknownIos.memory, unknownIos.resolution);
const cores = recordedSeries<Vm | 'role'>('vm_role:kvm_cpu_seconds:rate', {});
const events = (matchers: Matchers<Vm | 'step'>): Vector<Vm | 'step'> =>
  recordedSeries('vm_step:kvm_io_path_events:rate', matchers);

const ofIos = times(or(ios, iosBefore), EXITS_PER_IO);
const onIoPath = sum(events(kicksInjectionsEois), VM);
const ofPath = times(onIoPath, EXITS_PER_PATH_EVENT);

/** Derived from the series that the rules above record. */
const derived = {
  'vm_step:kvm_io_path_events:per_io': rule(
    'Exits an I/O by stage of the I/O path.',
    dividedByOn(events({}), VM, busy),
  ),
  'vm:kvm_io_path_events:per_io': rule(
    'Kicks, injections and EOIs an I/O: three in the original, next to none with exitless polling.',
    dividedBy(onIoPath, busy),
  ),
  'vm:kvm_cpu_seconds:rate': rule('Cores in use, all threads.', sum(cores, VM)),
  'vm:kvm_cpu_seconds:per_io': rule('CPU seconds an I/O, all threads.', dividedBy(sum(cores, VM), busy)),
  'vm:kvm_excess_exits:per_vcpu': rule(
    `Exits a second and vCPU beyond ${EXITS_PER_IO} for each I/O and, where they are traced, ${EXITS_PER_PATH_EVENT} for each kick, injection and EOI.`,
    // If the I/Os of a VM were never known, all its exits count.
    dividedBy(clampMin(minus(exits, or(lesser(ofPath, ofIos), or(ofIos, times(exits, 0)))), 0), vcpus),
  ),
  'vm:kvm_drifting_threads:count': rule(
    'Threads that are not where they should be.',
    sum(gauge('kvm_vm_affinity_drift_threads'), VM),
  ),
  'vm:kvm_stage:rank': rule(
    `Detected stage: ${STAGES.map((stage, rank) => `${rank} ${stage}`).join(', ')}.`,
    ofVm.stageRank(),
  ),
  'vm:kvm_stage:measured_rank': rule(
    `Detected stage of a VM with more than ${stages.minIops} I/Os a second; of others ${AFFINITY} at most, as nothing above it can be measured.`,
    or(
      and(recordedSeries<Vm>('vm:kvm_stage:rank', {}), VM, where(ios, '>', stages.minIops)),
      clampMax(recordedSeries<Vm>('vm:kvm_stage:rank', {}), AFFINITY),
    ),
  ),
  'vm:kvm_stage:held_rank': rule(
    `Stage that was measured for ${stages.held}.`,
    subquery('min', recordedSeries<Vm>('vm:kvm_stage:measured_rank', {}), stages.held, stages.heldResolution),
  ),
} as const;

const hostSum = (name: string): Vector<Host> => sum(recordedSeries<Vm>(name, {}), HOST);

/** Sums over the VMs of a host, for dashboards of many hosts. */
const perHost = {
  'host:kvm_vms:count': rule('VMs.', aggregate('count', gauge('kvm_vm_vcpus'), HOST)),
  'host_stage:kvm_vms:count': rule(
    'VMs by detected stage.',
    aggregate('count', gauge('kvm_vm_stage_info', { source: equal('detected') }), [...HOST, 'stage']),
  ),
  'host:kvm_exits:rate': rule('Exits a second.', hostSum('vm:kvm_exits:rate')),
  'host:kvm_ios:rate': rule('I/Os a second.', hostSum('vm:kvm_ios:rate')),
  'host_step:kvm_io_path_events:rate': rule(
    'Exits a second by stage of the I/O path.',
    sum(events({}), [...HOST, 'step']),
  ),
  'host_role:kvm_cpu_seconds:rate': rule(
    'Cores in use by role of the threads.',
    sum(cores, [...HOST, 'role']),
  ),
  'host:kvm_io_path_events:matched_rate': rule(
    `Kicks, injections and EOIs a second of the VMs that do more than ${MIN_IOPS} I/Os a second.`,
    sum(and(onIoPath, VM, busy), HOST),
  ),
  'host:kvm_ios:matched_rate': rule(
    `I/Os a second of the same VMs: those of which the I/O path is traced, and that do more than ${MIN_IOPS}.`,
    sum(and(busy, VM, onIoPath), HOST),
  ),
  'host:kvm_io_path_events:per_io': rule(
    'Kicks, injections and EOIs an I/O, over the VMs of which both are known.',
    dividedBy(
      recordedSeries<Host>('host:kvm_io_path_events:matched_rate', {}),
      recordedSeries<Host>('host:kvm_ios:matched_rate', {}),
    ),
  ),
  'host:kvm_drifting_vms:count': rule(
    'VMs of which a thread is not where it should be.',
    aggregate('count', where(recordedSeries<Vm>('vm:kvm_drifting_threads:count', {}), '>', 0), HOST),
  ),
  'host:kvm_telemetry_failing_collectors:count': rule(
    'Collectors that do not give all they should.',
    aggregate('count', where(gauge('kvm_telemetry_collector_success'), '==', 0), HOST),
  ),
  'host:kvm_cpu_wait_seconds:rate': rule(
    'Tasks that wait for a CPU, on average.',
    sum(rate('kvm_cpu_wait_seconds_total', WINDOW), HOST),
  ),
} as const;

const excess = recordedSeries<Vm>('vm:kvm_excess_exits:per_vcpu', {});
const { window, resolution, quantile, minPoints } = baseline;

/** The window is a day, so these rules are in a separate group with a longer interval. */
const perDay = {
  'vm:kvm_excess_exits:baseline': rule(
    `Exits a second and vCPU beyond those of I/O, which the VM exceeded in ${Math.round((1 - quantile) * 100)}% of its last day; none for a VM that is new.`,
    and(
      quantileOverTime(quantile, excess, window, resolution),
      VM,
      where(subquery('count', excess, window, resolution), '>=', minPoints),
    ),
  ),
} as const;

/** Groups of the rule file, in order. */
export const recordingGroups = {
  'kvm-telemetry-vm': { ...perVm, ...derived },
  'kvm-telemetry-host': perHost,
  'kvm-telemetry-baseline': perDay,
} as const;

const recording = { ...perVm, ...derived, ...perHost, ...perDay } as const;

export type RecordedName = keyof typeof recording;
export type RecordedLabels<N extends RecordedName> =
  (typeof recording)[N] extends RecordingRule<infer L> ? L : never;

/** Expression and description of each recorded series. */
export const recordingRules: Readonly<Record<string, { readonly expr: string; readonly help: string }>> =
  recording;

/** Selects a recorded series. An unknown name or label does not compile. */
export function recorded<N extends RecordedName>(
  name: N,
  matchers: Matchers<RecordedLabels<N>> = {},
): Vector<RecordedLabels<N>> {
  return recordedSeries(name, matchers);
}
