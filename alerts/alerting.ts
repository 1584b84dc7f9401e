import { STAGES } from '../exporter/metrics/stages.ts';
import {
  aggregate,
  and,
  clampMin,
  dividedBy,
  equal,
  gauge,
  increase,
  joined,
  matching,
  or,
  overTime,
  plus,
  rate,
  subquery,
  sum,
  times,
  unless,
  type Vector,
  where,
} from '../promql/promql.ts';
import { HOST, recorded, VM } from './recording.ts';
import * as thresholds from './thresholds.ts';

export type Severity = 'critical' | 'warning' | 'info';

export interface AlertRule {
  readonly severity: Severity;
  /** Subject of the alert. Alertmanager silences a VM's alerts while an alert of its host fires. */
  readonly scope: 'vm' | 'host';
  readonly expr: string;
  readonly for: string;
  readonly keepFiringFor: string;
  /** Prometheus templates. */
  readonly summary: string;
  readonly description: string;
}

interface AlertOf<L extends string> extends Omit<AlertRule, 'expr'> {
  readonly expr: Vector<L>;
}

/** Includes the labels that the texts may use: `vm` for an alert of a VM. */
const ofVm = <L extends string>(alert: Omit<AlertOf<L>, 'scope'>): AlertRule => ({ ...alert, scope: 'vm' });
const ofHost = <L extends string>(alert: Omit<AlertOf<L>, 'scope'>): AlertRule => ({
  ...alert,
  scope: 'host',
});

const ABOUT_VM = 'VM {{ $labels.vm }} on {{ $labels.instance }}';
const DOCTOR = 'On the host: kvm-telemetry doctor --vm {{ $labels.vm }}';
const POLLING_RANK = STAGES.indexOf('exitless_polling');
const POLLING_STAGES = matching(STAGES.slice(POLLING_RANK).join('|'));

const { exitStorm, exitStormAgainstBaseline: againstBaseline, exitLatency } = thresholds;
const { affinityDrift, threadsShareCpu, crossNodeIo, vcpuStarved, ioThreadSaturated } = thresholds;
const { pollingRegressed, haltPollWaste, queueImbalance, diskLatency, ioStalled, stageLost } = thresholds;
const { collectorFailing, traceDrops, taskStalled, seriesLimited, down, baseline, stages, WINDOW, MISSED } =
  thresholds;

const timing = ({ for: pending, keepFiringFor }: { for: string; keepFiringFor: string }) => ({
  for: pending,
  keepFiringFor,
});

const excess = recorded('vm:kvm_excess_exits:per_vcpu');
const busierThan = (iops: number) => where(recorded('vm:kvm_ios:rate'), '>', iops);
const vcpus = where(gauge('kvm_vm_vcpus'), '>', 0);

/**
 * The last scraped value of a gauge, for alerts with a long `for`: a missed scrape does not restart the
 * `for`.
 */
const seen: typeof gauge = (name, matchers) => overTime('last', name, MISSED, matchers);

/** Threads with one of these kinds of drift, by VM. */
const drifting = (kinds: string, scraped = gauge) =>
  where(
    aggregate(
      'count',
      aggregate('max', where(scraped('kvm_thread_affinity_drift', { kind: matching(kinds) }), '==', 1), [
        ...VM,
        'thread',
      ]),
      VM,
    ),
    '>',
    0,
  );

const failedPolls = dividedBy(recorded('vm:kvm_halt_poll_fail_seconds:rate'), vcpus);
const successfulPolls = dividedBy(sum(rate('kvm_vm_halt_poll_success_seconds_total', WINDOW), VM), vcpus);

const completed = (window: string) =>
  plus(
    plus(
      increase('kvm_block_reads_completed_total', window),
      increase('kvm_block_writes_completed_total', window),
    ),
    // Discards in flight count as writes; completed discards do not.
    increase('kvm_block_discards_completed_total', window),
  );
const usualExcess = subquery(
  'last',
  recorded('vm:kvm_excess_exits:baseline'),
  baseline.memory,
  baseline.resolution,
);
const bestStage = (window: string) =>
  subquery('max', recorded('vm:kvm_stage:held_rank'), window, stages.bestResolution);

const inFlight = sum(overTime('min', 'kvm_block_io_now', ioStalled.window), [...HOST, 'device']);
const stalledDevices = and(
  where(inFlight, '>', 0),
  [...HOST, 'device'],
  where(completed(ioStalled.window), '==', 0),
);

const alerts = {
  KvmExitStorm: ofVm({
    severity: 'warning',
    expr: where(excess, '>', exitStorm.perVcpu),
    ...timing(exitStorm),
    summary: `Exit storm: ${ABOUT_VM}`,
    description: `${ABOUT_VM} exits {{ $value | humanize }} times a second and vCPU beyond what its I/O explains, above ${exitStorm.perVcpu}. ${DOCTOR}`,
  }),
  KvmExitStormAgainstBaseline: ofVm({
    severity: 'warning',
    expr: and(
      // The baseline of a VM that is nearly idle all day is at least one exit per second.
      where(dividedBy(excess, clampMin(usualExcess, 1)), '>', againstBaseline.factor),
      VM,
      where(excess, '>', againstBaseline.minPerVcpu),
    ),
    ...timing(againstBaseline),
    summary: `Exits far above the VM's own day: ${ABOUT_VM}`,
    description: `${ABOUT_VM} exits {{ $value | humanize }} times as often as in all but the busiest twentieth of its last day, I/O taken off; above ${againstBaseline.factor} times. ${DOCTOR}`,
  }),
  KvmExitLatencyHigh: ofVm({
    severity: 'warning',
    expr: where(recorded('vm:kvm_exit_duration_seconds:p99'), '>', exitLatency.p99),
    ...timing(exitLatency),
    summary: `Exits take long: ${ABOUT_VM}`,
    description: `One in a hundred exits of ${ABOUT_VM} takes {{ $value | humanizeDuration }} or longer, halts not counted; above ${exitLatency.p99} s. ${DOCTOR}`,
  }),
  KvmAffinityDrift: ofVm({
    severity: 'warning',
    expr: drifting('mask_widened|unpinned|mask_changed|migrating'),
    ...timing(affinityDrift),
    summary: `Pins are not in force: ${ABOUT_VM}`,
    description: `Threads of ${ABOUT_VM} that may run where they should not: {{ $value }}. The commands that put them back: kvm-telemetry doctor --vm {{ $labels.vm }}`,
  }),
  KvmThreadsShareCpu: ofVm({
    severity: 'warning',
    expr: drifting('shared_cpu|shared_core'),
    ...timing(threadsShareCpu),
    summary: `Pinned threads share a CPU: ${ABOUT_VM}`,
    description: `Pinned threads of ${ABOUT_VM} that share their one CPU, or its core, with another one: {{ $value }}. ${DOCTOR}`,
  }),
  KvmCrossNodeIo: ofVm({
    severity: 'warning',
    expr: drifting('cross_node', seen),
    ...timing(crossNodeIo),
    summary: `I/O crosses NUMA nodes: ${ABOUT_VM}`,
    description: `Threads of ${ABOUT_VM} on another NUMA node than its memory, its disk or the disk's interrupts: {{ $value }}. ${DOCTOR}`,
  }),
  KvmVcpuStarved: ofVm({
    severity: 'warning',
    expr: where(
      recorded('vm_role:kvm_wait_seconds:max_rate', { role: equal('vcpu') }),
      '>',
      vcpuStarved.wait,
    ),
    ...timing(vcpuStarved),
    summary: `A vCPU waits for a CPU: ${ABOUT_VM}`,
    description: `A vCPU of ${ABOUT_VM} waits for a CPU {{ $value | humanizePercentage }} of the time, above ${vcpuStarved.wait * 100}%: the guest sees it as steal. ${DOCTOR}`,
  }),
  KvmIoThreadSaturated: ofVm({
    severity: 'warning',
    expr: unless(
      where(
        recorded('vm_role:kvm_run_seconds:max_rate', { role: matching('iothread|vhost|emulator') }),
        '>',
        ioThreadSaturated.run,
      ),
      VM,
      gauge('kvm_vm_stage_info', { stage: POLLING_STAGES }),
    ),
    ...timing(ioThreadSaturated),
    summary: `An I/O thread has no CPU time left: ${ABOUT_VM}`,
    description: `A thread of role {{ $labels.role }} of ${ABOUT_VM} runs {{ $value | humanizePercentage }} of the time, above ${ioThreadSaturated.run * 100}%: it is what limits the I/O. ${DOCTOR}`,
  }),
  KvmPollingRegressed: ofVm({
    severity: 'warning',
    expr: and(
      and(
        where(recorded('vm:kvm_io_path_events:per_io'), '>', pollingRegressed.exitsPerIo),
        VM,
        busierThan(pollingRegressed.minIops),
      ),
      VM,
      or(
        aggregate(
          'max',
          gauge('kvm_vm_stage_info', { stage: POLLING_STAGES, source: equal('declared') }),
          VM,
        ),
        where(bestStage(pollingRegressed.memory), '>=', POLLING_RANK),
      ),
    ),
    ...timing(pollingRegressed),
    summary: `Polling is no longer exitless: ${ABOUT_VM}`,
    description: `${ABOUT_VM} pays {{ $value | humanize }} kicks, injections and EOIs an I/O, above ${pollingRegressed.exitsPerIo}, though it is declared to poll, or did within ${pollingRegressed.memory}. ${DOCTOR}`,
  }),
  KvmHaltPollWaste: ofVm({
    severity: 'info',
    expr: and(
      where(failedPolls, '>', haltPollWaste.perVcpu),
      VM,
      where(failedPolls, '>', times(successfulPolls, haltPollWaste.ofSuccess)),
    ),
    ...timing(haltPollWaste),
    summary: `Halt polling in vain: ${ABOUT_VM}`,
    description: `KVM polls {{ $value | humanizePercentage }} of each vCPU's time in vain for ${ABOUT_VM}, above ${haltPollWaste.perVcpu * 100}%. See kvm.halt_poll_ns, and the guest's own haltpoll.`,
  }),
  KvmQueueImbalance: ofVm({
    severity: 'info',
    expr: and(
      where(seen('kvm_vm_queue_fairness_ratio'), '<', queueImbalance.fairness),
      VM,
      busierThan(queueImbalance.minIops),
    ),
    ...timing(queueImbalance),
    summary: `Virtqueues are used unevenly: ${ABOUT_VM}`,
    description: `The queues of {{ $labels.device }} of ${ABOUT_VM} are used with a fairness of {{ $value | printf "%.2f" }} (1 is even), below ${queueImbalance.fairness}. See the virtqueue by vCPU matrix.`,
  }),
  KvmDiskLatencyHigh: ofVm({
    severity: 'warning',
    expr: where(recorded('vm_disk:kvm_disk_latency_seconds:mean'), '>', diskLatency.mean),
    ...timing(diskLatency),
    summary: `Slow disk {{ $labels.disk }}: ${ABOUT_VM}`,
    description: `An operation of disk {{ $labels.disk }} of ${ABOUT_VM} takes {{ $value | humanizeDuration }} on average, above ${diskLatency.mean} s.`,
  }),
  KvmIoStalled: ofVm({
    severity: 'critical',
    expr: joined(
      aggregate('max', gauge('kvm_vm_block_device_info'), [...VM, 'device']),
      [...HOST, 'device'],
      stalledDevices,
      [],
    ),
    ...timing(ioStalled),
    summary: `I/O hangs on {{ $labels.device }}: ${ABOUT_VM}`,
    description: `{{ $value }} requests are in flight on {{ $labels.device }}, which carries disks of ${ABOUT_VM}, and none has completed for ${ioStalled.for}.`,
  }),
  KvmStageLost: ofVm({
    severity: 'warning',
    expr: and(
      where(recorded('vm:kvm_stage:measured_rank'), '<', bestStage(stageLost.memory)),
      VM,
      // A VM that lost its pins, or a VM with enough I/O for a valid measurement.
      or(
        where(recorded('vm:kvm_stage:rank'), '==', 0),
        and(recorded('vm:kvm_stage:rank'), VM, busierThan(stages.minIops)),
      ),
    ),
    ...timing(stageLost),
    summary: `Fell back a stage: ${ABOUT_VM}`,
    description: `${ABOUT_VM} is at stage {{ $value }} (${STAGES.map((stage, rank) => `${rank} ${stage}`).join(', ')}), and was higher within ${stageLost.memory}. ${DOCTOR}`,
  }),
  KvmTelemetryCollectorFailing: ofHost({
    severity: 'warning',
    expr: and(
      where(seen('kvm_telemetry_collector_success'), '==', 0),
      [...HOST, 'collector'],
      where(overTime('max', 'kvm_telemetry_collector_success', collectorFailing.memory), '==', 1),
    ),
    ...timing(collectorFailing),
    summary: 'Collector {{ $labels.collector }} fails on {{ $labels.instance }}',
    description:
      'Collector {{ $labels.collector }} of kvm-telemetry on {{ $labels.instance }} worked within a day and no longer does. On the host: kvm-telemetry doctor',
  }),
  KvmTelemetryTraceDrops: ofHost({
    severity: 'warning',
    expr: where(increase('kvm_telemetry_trace_dropped_total', traceDrops.window), '>', 0),
    ...timing(traceDrops),
    summary: 'Trace events are lost on {{ $labels.instance }}',
    description:
      'The kernel dropped {{ $value | humanize }} events of the set {{ $labels.set }} on {{ $labels.instance }}, as the map was full: exits by reason and kicks are too low by as many.',
  }),
  KvmTelemetryTaskStalled: ofHost({
    severity: 'warning',
    expr: where(
      seen('kvm_telemetry_task_last_run_age_seconds'),
      '>',
      times(seen('kvm_telemetry_task_interval_seconds'), taskStalled.intervals),
    ),
    ...timing(taskStalled),
    summary: 'The {{ $labels.task }} stands still on {{ $labels.instance }}',
    description:
      'The {{ $labels.task }} of kvm-telemetry on {{ $labels.instance }} last ran to its end {{ $value | humanizeDuration }} ago: what it follows between scrapes is that old. On the host: journalctl -u kvm-telemetry',
  }),
  KvmTelemetrySeriesLimited: ofHost({
    severity: 'warning',
    expr: where(seen('kvm_telemetry_series_dropped'), '>', 0),
    ...timing(seriesLimited),
    summary: 'Series are left out on {{ $labels.instance }}',
    description:
      'kvm-telemetry on {{ $labels.instance }} leaves out {{ $value }} series, as limits.maxSeries is reached: some VMs lack metrics.',
  }),
  KvmTelemetryDown: ofHost({
    severity: 'critical',
    expr: where(gauge('up', { job: equal('kvm-telemetry') }), '==', 0),
    ...timing(down),
    summary: 'kvm-telemetry cannot be scraped on {{ $labels.instance }}',
    description:
      'Prometheus gets no metrics of {{ $labels.instance }}: nothing is known of its VMs. On the host: systemctl status kvm-telemetry',
  }),
} as const satisfies Record<string, AlertRule>;

export type AlertName = keyof typeof alerts;

/** By name, in the order of the rule file. */
export const alertRules: Readonly<Record<AlertName, AlertRule>> = alerts;
