import { STAGES } from '../exporter/metrics/stages.ts';
import type { Technique } from '../exporter/metrics/techniques.ts';
import {
  add,
  and,
  clampMin,
  compare,
  count,
  div,
  equal,
  gauge,
  gaugeRange,
  groupLeft,
  increase,
  lastOverTime,
  max,
  maxOverTime,
  min,
  minOverTime,
  mul,
  notEqual,
  on,
  or,
  rate,
  regexp,
  resets,
  sub,
  subquery,
  sum,
  timestamp,
  unless,
  type Vector,
} from '../promql/promql.ts';
import { secondsOf } from './durations.ts';
import { ofVm as expressions, HOST, recorded, VM } from './recording.ts';
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
const ofVm = <L extends string>(alert: Omit<AlertOf<L>, 'scope'>): AlertRule => ({
  ...alert,
  expr: alert.expr.promql,
  scope: 'vm',
});
const ofHost = <L extends string>(alert: Omit<AlertOf<L>, 'scope'>): AlertRule => ({
  ...alert,
  expr: alert.expr.promql,
  scope: 'host',
});

const ABOUT_VM = 'VM {{ $labels.vm }} on {{ $labels.instance }}';
const DOCTOR = 'On the host: kvm-telemetry doctor --vm {{ $labels.vm }}';
const POLLING_RANK = STAGES.indexOf('exitless_polling');
const POLLING_STAGES = regexp(STAGES.slice(POLLING_RANK).join('|'));

const { exitStorm, exitStormAgainstBaseline: againstBaseline, exitLatency } = thresholds;
const { affinityDrift, threadsShareCpu, crossNodeIo, vcpuStarved, vmThrottled, ioThreadSaturated } =
  thresholds;
const { pollingRegressed, haltPollWaste, queueImbalance, diskLatency, ioStalled, techniqueLost } = thresholds;
const {
  apicvLost,
  collectorFailing,
  traceDrops,
  samplesLost,
  taskStalled,
  seriesLimited,
  hostMissing,
  hostLagging,
  seriesBudget,
  storeDisk,
  twoWriters,
  down,
  baseline,
  WINDOW,
  MISSED,
} = thresholds;

const timing = ({ for: pending, keepFiringFor }: { for: string; keepFiringFor: string }) => ({
  for: pending,
  keepFiringFor,
});

const excess = recorded('vm:kvm_excess_exits:per_vcpu');
const busierThan = (iops: number) => compare(recorded('vm:kvm_ios:rate'), '>', iops);
const vcpus = compare(gauge('kvm_vm_vcpus'), '>', 0);

/**
 * The last scraped value of a gauge, for alerts with a long `for`: a missed scrape does not restart the
 * `for`.
 */
const lastScraped: typeof gauge = (name, matchers) => lastOverTime(gaugeRange(name, MISSED, matchers));

/**
 * Counters of samples that agents and stores drop for good. Prometheus also counts samples that relabelling drops:
 * without a reason, or with another one.
 */
const LOSSES = [
  sum(increase('prometheus_remote_storage_samples_failed_total', samplesLost.window), HOST),
  sum(
    increase('prometheus_remote_storage_samples_dropped_total', samplesLost.window, {
      reason: equal('too_old'),
    }),
    HOST,
  ),
  sum(increase('vmagent_remotewrite_packets_dropped_total', samplesLost.window), HOST),
  sum(increase('vm_persistentqueue_bytes_dropped_total', samplesLost.window), HOST),
  sum(
    increase('vm_rows_ignored_total', samplesLost.window, { reason: regexp('(big|small)_timestamp') }),
    HOST,
  ),
  // Prometheus drops them at the scrape, and `up` is 1.
  sum(increase('prometheus_target_scrapes_sample_out_of_bounds_total', samplesLost.window), HOST),
  sum(increase('prometheus_target_scrapes_sample_out_of_order_total', samplesLost.window), HOST),
  sum(increase('prometheus_target_scrapes_sample_duplicate_timestamp_total', samplesLost.window), HOST),
];

const freeOfStore = min(gauge('vm_free_disk_space_bytes'), HOST);

/** Threads with one of these kinds of drift, by VM. */
const drifting = (kinds: string, scraped = gauge) =>
  compare(
    count(
      max(compare(scraped('kvm_thread_affinity_drift', { kind: regexp(kinds) }), '==', 1), [...VM, 'thread']),
      VM,
    ),
    '>',
    0,
  );

const vcpuWait = recorded('vm_role:kvm_wait_seconds:max_rate', { role: equal('vcpu') });
const failedPolls = div(recorded('vm:kvm_halt_poll_fail_seconds:rate'), vcpus);
const successfulPolls = div(sum(rate('kvm_vm_halt_poll_success_seconds_total', WINDOW), VM), vcpus);

const completed = (window: string) =>
  add(
    add(
      increase('kvm_block_reads_completed_total', window),
      increase('kvm_block_writes_completed_total', window),
    ), // Discards in flight count as writes; completed discards do not.
    increase('kvm_block_discards_completed_total', window),
  );
const usualExcess = lastOverTime(
  subquery(recorded('vm:kvm_excess_exits:baseline'), baseline.memory, baseline.resolution),
);
/** VMs that declare that they poll. */
const declaredPolling = max(
  gauge('kvm_vm_stage_info', { stage: POLLING_STAGES, source: equal('declared') }),
  VM,
);
const POLLS = { technique: equal('exitless_polling'), state: regexp('in_force|partly') };
/** VMs that polled within the time. */
const polledWithin = (time: string) =>
  max(compare(maxOverTime(gaugeRange('kvm_vm_technique_state', time, POLLS)), '==', 1), VM);

const OF_TECHNIQUE = [...VM, 'technique'] as const;
const since = max(gauge('kvm_vm_technique_since_timestamp_seconds'), OF_TECHNIQUE);
const lostNow = max(
  compare(gauge('kvm_vm_technique_state', { state: equal('lost') }), '==', 1),
  OF_TECHNIQUE,
);
const lostLately = and(
  lostNow,
  on(...OF_TECHNIQUE),
  compare(sub(timestamp(since), since), '<', secondsOf(techniqueLost.memory)),
);
/** The decisive number. Of kicks and interrupts the larger one decides. */
const proof = max(
  gauge('kvm_vm_technique_evidence_ratio', { evidence: notEqual('used_queues') }),
  OF_TECHNIQUE,
);
/** Value of a lost technique without a number: its configuration no longer asks for it. */
const NOT_ASKED = -1;

/** The meaning of the value of KvmTechniqueLost. */
const PROOFS: Readonly<Record<Technique, string>> = {
  affinity: '{{ $value | humanizePercentage }} of its threads are pinned where expected',
  exitless_polling: '{{ $value | printf `%.2f` }} kicks or interrupts per I/O (in force below 0.5)',
  parallel_batching: '{{ $value | printf `%.1f` }} I/Os a kick (in force from 2)',
  pinned_queues:
    "{{ $value | humanizePercentage }} of a queue's kicks come from its top vCPU (in force from 80%)",
};
const proofText = Object.entries(PROOFS)
  .map(
    ([technique, text], i) =>
      `{{ ${i === 0 ? 'if' : 'else if'} eq $labels.technique \`${technique}\` }}${text}`,
  )
  .join('');
const lostText = `{{ if lt $value 0.0 }}its configuration no longer asks for it{{ else }}${proofText}{{ end }}{{ end }}`;

const inFlight = sum(minOverTime(gaugeRange('kvm_block_io_now', ioStalled.window)), [...HOST, 'device']);
const stalledDevices = and(
  compare(inFlight, '>', 0),
  on(...HOST, 'device'),
  compare(completed(ioStalled.window), '==', 0),
);

const OUR_JOB = 'kvm-telemetry';
/** In the files of `deploy/fleet`. */
const AGENT_JOB = 'kvm-telemetry-agent';
const OURS = { job: equal(OUR_JOB) } as const;
/** Time of the newest sample of a host's recorded series. */
const lastRecorded = max(
  maxOverTime(
    subquery(timestamp(recorded('host:kvm_vms:count')), hostLagging.memory, hostLagging.resolution),
  ),
  HOST,
);

const alerts = {
  KvmExitStorm: ofVm({
    severity: 'warning',
    expr: compare(excess, '>', exitStorm.perVcpu),
    ...timing(exitStorm),
    summary: `Exit storm: ${ABOUT_VM}`,
    description: `${ABOUT_VM} has {{ $value | humanize }} exits per second and vCPU in excess of its I/O (threshold: ${exitStorm.perVcpu}). ${DOCTOR}`,
  }),
  KvmExitStormAgainstBaseline: ofVm({
    severity: 'warning',
    expr: and(
      // The baseline of a VM that is nearly idle all day is at least one exit per second.
      compare(div(excess, clampMin(usualExcess, 1)), '>', againstBaseline.factor),
      on(...VM),
      compare(excess, '>', againstBaseline.minPerVcpu),
    ),
    ...timing(againstBaseline),
    summary: `Exits far above the VM's own baseline: ${ABOUT_VM}`,
    description: `${ABOUT_VM} exits {{ $value | humanize }} times as often as in 95% of its last day, I/O excluded (threshold: ${againstBaseline.factor} times). ${DOCTOR}`,
  }),
  KvmExitLatencyHigh: ofVm({
    severity: 'warning',
    expr: compare(recorded('vm:kvm_exit_duration_seconds:p99'), '>', exitLatency.p99),
    ...timing(exitLatency),
    summary: `Slow exits: ${ABOUT_VM}`,
    description: `1% of the exits of ${ABOUT_VM} take {{ $value | humanizeDuration }} or longer, halts excluded (threshold: ${exitLatency.p99} s). ${DOCTOR}`,
  }),
  KvmAffinityDrift: ofVm({
    severity: 'warning',
    expr: drifting('mask_widened|unpinned|mask_changed|migrating'),
    ...timing(affinityDrift),
    summary: `Threads violate their expected affinity: ${ABOUT_VM}`,
    description: `Number of threads of ${ABOUT_VM} that violate their expected affinity: {{ $value }}. For the commands that restore it, run on the host: kvm-telemetry doctor --vm {{ $labels.vm }}`,
  }),
  KvmThreadsShareCpu: ofVm({
    severity: 'warning',
    expr: drifting('shared_cpu|shared_core'),
    ...timing(threadsShareCpu),
    summary: `Pinned threads share a CPU: ${ABOUT_VM}`,
    description: `Number of pinned threads of ${ABOUT_VM} that share their only CPU, or its core, with another pinned thread: {{ $value }}. ${DOCTOR}`,
  }),
  KvmCrossNodeIo: ofVm({
    severity: 'warning',
    expr: drifting('cross_node', lastScraped),
    ...timing(crossNodeIo),
    summary: `I/O crosses NUMA nodes: ${ABOUT_VM}`,
    description: `Number of threads of ${ABOUT_VM} that run on another NUMA node than its memory, its disk or the disk's interrupts: {{ $value }}. ${DOCTOR}`,
  }),
  KvmVcpuStarved: ofVm({
    severity: 'warning',
    // The kernel counts the time for which a quota stops a thread as wait.
    expr: unless(
      compare(vcpuWait, '>', vcpuStarved.wait),
      on(...VM),
      compare(
        sub(vcpuWait, on(...VM), groupLeft(), recorded('vm:kvm_throttled_seconds:max_rate')),
        '<=',
        vcpuStarved.wait,
      ),
    ),
    ...timing(vcpuStarved),
    summary: `A vCPU waits for a CPU: ${ABOUT_VM}`,
    description: `A vCPU of ${ABOUT_VM} waits for a CPU {{ $value | humanizePercentage }} of the time (threshold: ${vcpuStarved.wait * 100}%). The guest sees this as steal time. ${DOCTOR}`,
  }),
  KvmVmThrottled: ofVm({
    severity: 'warning',
    expr: compare(recorded('vm:kvm_throttled_seconds:max_rate'), '>', vmThrottled.throttled),
    ...timing(vmThrottled),
    summary: `A CPU quota stops ${ABOUT_VM}`,
    description: `A CPU quota of a cgroup stops ${ABOUT_VM} for {{ printf "%.2g" $value }} CPU seconds each second (threshold: ${vmThrottled.throttled}). ${DOCTOR}`,
  }),
  KvmIoThreadSaturated: ofVm({
    severity: 'warning',
    expr: unless(
      compare(
        recorded('vm_role:kvm_run_seconds:max_rate', { role: regexp('iothread|vhost|emulator') }),
        '>',
        ioThreadSaturated.run,
      ),
      on(...VM),
      or(expressions.technique('exitless_polling', ['in_force', 'partly']), declaredPolling),
    ),
    ...timing(ioThreadSaturated),
    summary: `An I/O thread is saturated: ${ABOUT_VM}`,
    description: `A thread of role {{ $labels.role }} of ${ABOUT_VM} runs {{ $value | humanizePercentage }} of the time (threshold: ${ioThreadSaturated.run * 100}%). It limits the VM's I/O. ${DOCTOR}`,
  }),
  KvmPollingRegressed: ofVm({
    severity: 'warning',
    // While the pollers sleep, kicks are expected: the technique stays in force (docs/verdicts.md).
    expr: unless(
      and(
        and(
          compare(recorded('vm:kvm_io_path_events:per_io'), '>', pollingRegressed.exitsPerIo),
          on(...VM),
          busierThan(pollingRegressed.minIops),
        ),
        on(...VM),
        or(declaredPolling, polledWithin(pollingRegressed.memory)),
      ),
      on(...VM),
      expressions.technique('exitless_polling', ['in_force']),
    ),
    ...timing(pollingRegressed),
    summary: `Polling is no longer exitless: ${ABOUT_VM}`,
    description: `${ABOUT_VM} has {{ $value | humanize }} kicks, injections and EOIs per I/O (threshold: ${pollingRegressed.exitsPerIo}), although it is declared to poll, or polled within the last ${pollingRegressed.memory}. ${DOCTOR}`,
  }),
  KvmHaltPollWaste: ofVm({
    severity: 'info',
    expr: and(
      compare(failedPolls, '>', haltPollWaste.perVcpu),
      on(...VM),
      compare(failedPolls, '>', mul(successfulPolls, haltPollWaste.ofSuccess)),
    ),
    ...timing(haltPollWaste),
    summary: `Halt polling wastes CPU time: ${ABOUT_VM}`,
    description: `KVM spends {{ $value | humanizePercentage }} of each vCPU's time on failed halt polls for ${ABOUT_VM} (threshold: ${haltPollWaste.perVcpu * 100}%). Check kvm.halt_poll_ns on the host and cpuidle-haltpoll in the guest.`,
  }),
  KvmQueueImbalance: ofVm({
    severity: 'info',
    expr: and(
      compare(lastScraped('kvm_vm_queue_fairness_ratio'), '<', queueImbalance.fairness),
      on(...VM),
      busierThan(queueImbalance.minIops),
    ),
    ...timing(queueImbalance),
    summary: `Virtqueues are used unevenly: ${ABOUT_VM}`,
    description: `The queues of {{ $labels.device }} of ${ABOUT_VM} have a fairness of {{ $value | printf "%.2f" }} (threshold: ${queueImbalance.fairness}; 1 is even use). See the panel Kicks by virtqueue and vCPU.`,
  }),
  KvmDiskLatencyHigh: ofVm({
    severity: 'warning',
    expr: compare(recorded('vm_disk:kvm_disk_latency_seconds:mean'), '>', diskLatency.mean),
    ...timing(diskLatency),
    summary: `Slow disk {{ $labels.disk }}: ${ABOUT_VM}`,
    description: `An operation of disk {{ $labels.disk }} of ${ABOUT_VM} takes {{ $value | humanizeDuration }} on average (threshold: ${diskLatency.mean} s).`,
  }),
  KvmIoStalled: ofVm({
    severity: 'critical',
    expr: mul(
      max(gauge('kvm_vm_block_device_info'), [...VM, 'device']),
      on(...HOST, 'device'),
      groupLeft(),
      stalledDevices,
    ),
    ...timing(ioStalled),
    summary: `I/O hangs on {{ $labels.device }}: ${ABOUT_VM}`,
    description: `Requests in flight on {{ $labels.device }}, which holds disks of ${ABOUT_VM}: {{ $value }}. None has completed for ${ioStalled.for}.`,
  }),
  KvmTechniqueLost: ofVm({
    severity: 'warning',
    expr: or(
      and(proof, on(...OF_TECHNIQUE), lostLately),
      unless(mul(lostLately, NOT_ASKED), on(...OF_TECHNIQUE), proof),
    ),
    ...timing(techniqueLost),
    summary: `Lost {{ $labels.technique }}: ${ABOUT_VM}`,
    description: `{{ $labels.technique }} was in force in ${ABOUT_VM} and is not: ${lostText}. ${DOCTOR}`,
  }),
  KvmApicvLost: ofVm({
    severity: 'warning',
    expr: and(
      count(compare(lastScraped('kvm_vcpu_apicv_active'), '==', 0), VM),
      on(...VM),
      compare(
        maxOverTime(
          subquery(min(gauge('kvm_vcpu_apicv_active'), VM), apicvLost.memory, apicvLost.resolution),
        ),
        '==',
        1,
      ),
    ),
    ...timing(apicvLost),
    summary: `APICv lost: ${ABOUT_VM}`,
    description: `vCPUs of ${ABOUT_VM} that do not use APICv or AVIC: {{ $value }}. All of them used it within the last ${apicvLost.memory}. The reason: kvm_vm_apicv_inhibited. ${DOCTOR}`,
  }),
  KvmTelemetryCollectorFailing: ofHost({
    severity: 'warning',
    expr: and(
      compare(lastScraped('kvm_telemetry_collector_success'), '==', 0),
      on(...HOST, 'collector'),
      compare(maxOverTime(gaugeRange('kvm_telemetry_collector_success', collectorFailing.memory)), '==', 1),
    ),
    ...timing(collectorFailing),
    summary: 'Collector {{ $labels.collector }} fails on {{ $labels.instance }}',
    description:
      'Collector {{ $labels.collector }} of kvm-telemetry on {{ $labels.instance }} worked within the last day and fails now. On the host: kvm-telemetry doctor',
  }),
  KvmTelemetryTraceDrops: ofHost({
    severity: 'warning',
    expr: compare(increase('kvm_telemetry_trace_dropped_total', traceDrops.window), '>', 0),
    ...timing(traceDrops),
    summary: 'Trace events are dropped on {{ $labels.instance }}',
    description:
      'The kernel dropped {{ $value | humanize }} events of the trace set {{ $labels.set }} on {{ $labels.instance }}, because the map was full. The counters of this set are too low by that number.',
  }),
  KvmTelemetryTaskStalled: ofHost({
    severity: 'warning',
    expr: compare(
      lastScraped('kvm_telemetry_task_last_run_age_seconds'),
      '>',
      mul(lastScraped('kvm_telemetry_task_interval_seconds'), taskStalled.intervals),
    ),
    ...timing(taskStalled),
    summary: 'The task {{ $labels.task }} is stalled on {{ $labels.instance }}',
    description:
      'The task {{ $labels.task }} of kvm-telemetry on {{ $labels.instance }} last finished {{ $value | humanizeDuration }} ago. Its data is that old. On the host: journalctl -u kvm-telemetry',
  }),
  KvmTelemetrySeriesLimited: ofHost({
    severity: 'warning',
    expr: compare(lastScraped('kvm_telemetry_series_dropped'), '>', 0),
    ...timing(seriesLimited),
    summary: 'Series are dropped on {{ $labels.instance }}',
    description:
      'kvm-telemetry on {{ $labels.instance }} drops {{ $value }} series, because limits.maxSeries is reached. Some VMs lack metrics.',
  }),
  KvmTelemetrySeriesBudget: ofHost({
    severity: 'warning',
    expr: compare(max(gauge('scrape_samples_scraped', OURS), HOST), '>', seriesBudget.series),
    ...timing(seriesBudget),
    summary: 'Too many series on {{ $labels.instance }}',
    description: `A scrape of {{ $labels.instance }} has {{ $value }} series (budget: ${seriesBudget.series}). Beyond sample_limit Prometheus drops the whole scrape. On the host: kvm-telemetry doctor, and a smaller --profile`,
  }),
  KvmTelemetrySamplesLost: ofHost({
    severity: 'warning',
    expr: LOSSES.map((lost) => compare(lost, '>', 0)).reduce((a, b) => or(a, b)),
    ...timing(samplesLost),
    summary: 'Samples are lost between {{ $labels.instance }} and the store',
    description: `The agent or store {{ $labels.instance }} dropped samples that nobody sends again: a counter of losses rose by {{ $value | humanize }} in ${samplesLost.window}. The store refuses them, a queue is full, or their times are wrong. Rates and sums of its hosts have gaps.`,
  }),
  KvmTelemetryTwoWriters: ofHost({
    severity: 'warning',
    expr: compare(
      max(
        resets('process_start_time_seconds', twoWriters.window, { job: regexp(`${OUR_JOB}|${AGENT_JOB}`) }),
        HOST,
      ),
      '>',
      twoWriters.falls,
    ),
    ...timing(twoWriters),
    summary: 'Two hosts or agents have the name {{ $labels.instance }}',
    description: `Samples of two processes alternate in the series of {{ $labels.instance }} (job {{ $labels.job }}): its start time fell {{ $value | humanize }} times in ${twoWriters.window}. Two hosts or agents have the same labels. All values of it are wrong, and so are the sums.`,
  }),
  KvmTelemetryStoreDiskFull: ofHost({
    severity: 'critical',
    expr: compare(
      div(freeOfStore, add(freeOfStore, sum(gauge('vm_data_size_bytes'), HOST))),
      '<',
      storeDisk.free,
    ),
    ...timing(storeDisk),
    summary: 'The disk of the store {{ $labels.instance }} is nearly full',
    description: `{{ $value | humanizePercentage }} of the disk of the store {{ $labels.instance }} is free (threshold: ${storeDisk.free * 100}%). Below -storage.minFreeDiskSpaceBytes it refuses samples, and the agents keep them. If the disk is full before, it dies and loses its last seconds.`,
  }),
  KvmTelemetryHostLagging: ofHost({
    severity: 'warning',
    expr: unless(
      compare(sub(timestamp(lastRecorded), lastRecorded), '>', hostLagging.lag),
      on(...HOST),
      compare(gauge('up', OURS), '==', 0),
    ),
    ...timing(hostLagging),
    summary: 'Recorded series of {{ $labels.instance }} are late',
    description:
      'The newest recorded series of {{ $labels.instance }} is {{ $value | humanizeDuration }} old. The agent that sends them lags or is cut off, or the rules are not evaluated. What the host does now is unknown here.',
  }),
  KvmTelemetryHostMissing: ofHost({
    severity: 'warning',
    expr: unless(
      max(maxOverTime(subquery(gauge('up', OURS), hostMissing.memory, hostMissing.resolution)), HOST),
      on(...HOST),
      gauge('up', OURS),
    ),
    ...timing(hostMissing),
    summary: '{{ $labels.instance }} is no longer a target',
    description: `{{ $labels.instance }} was scraped within the last ${hostMissing.memory} and is no target now: it was removed, renamed, or lost by discovery. The state of its VMs is unknown.`,
  }),
  KvmTelemetryDown: ofHost({
    severity: 'critical',
    expr: compare(gauge('up', OURS), '==', 0),
    ...timing(down),
    summary: 'kvm-telemetry cannot be scraped on {{ $labels.instance }}',
    description:
      'Prometheus cannot scrape {{ $labels.instance }}. The state of its VMs is unknown. On the host: systemctl status kvm-telemetry',
  }),
} as const satisfies Record<string, AlertRule>;

export type AlertName = keyof typeof alerts;

/** By name, in the order of the rule file. */
export const alertRules: Readonly<Record<AlertName, AlertRule>> = alerts;
