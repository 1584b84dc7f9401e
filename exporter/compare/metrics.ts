import type { HistogramName } from '../metrics/catalogue.ts';
import type { ComparedMetric } from './model.ts';
import { type MetricText, type RatioOptions, ratioOf } from './ratio.ts';
import { first, growth, largestGrowth, level, plus, samplesOf, type Term, type VmGauge } from './terms.ts';

/** A metric of the report, with the terms that its value is computed from. */
export interface SumMetric extends ComparedMetric {
  readonly terms: readonly Term[];
}

/** A quantile: its terms are the buckets, which only the samples show. */
export interface QuantileMetric extends Omit<ComparedMetric, 'valueOf'> {
  readonly quantile: number;
  /** The first alternative with samples is used for all VMs. */
  readonly histograms: readonly HistogramName[];
}

export type MetricDefinition = SumMetric | QuantileMetric;

/** A ratio of two sums. */
function ratio(text: MetricText, above: Term, below: Term, options: RatioOptions = {}): SumMetric {
  return { ...ratioOf(text, options), terms: [above, below] };
}

const perSecond = (text: MetricText, of: Term): SumMetric => ratio(text, of, 'time');
/** Share of the time, or of one CPU. */
const percentOfTime = (text: MetricText, of: Term): SumMetric => ratio(text, of, 'time', { factor: 100 });
/** Mean of a gauge over its samples. */
const meanOf = (text: MetricText, gauge: VmGauge): SumMetric => ratio(text, level(gauge), samplesOf(gauge));
const perIo = (text: MetricText, of: Term, factor = 1): SumMetric =>
  ratio(text, of, ios, { factor, isPerIo: true });

const reads = growth('kvm_vm_disk_reads_completed_total');
const writes = growth('kvm_vm_disk_writes_completed_total');
const readBytes = growth('kvm_vm_disk_read_bytes_total');
const writtenBytes = growth('kvm_vm_disk_written_bytes_total');
const completed = plus(reads, writes);
/** As requested by the guest, else as requests to the host's block devices. */
const ios = first(completed, growth('kvm_vm_block_requests_total'));
const diskSeconds = plus(
  growth('kvm_vm_disk_read_time_seconds_total'),
  growth('kvm_vm_disk_write_time_seconds_total'),
);
const exits = first(growth('kvm_vm_exits_total'), growth('kvm_vm_exits_by_reason_total'));
const step = (name: string): Term => growth('kvm_vm_io_path_events_total', { step: [name] });
const [kicks, injections, eois] = [step('kick'), step('inject'), step('eoi')];
const cpu = growth('kvm_thread_cpu_seconds_total');
const cpuOf = (...roles: readonly string[]): Term => growth('kvm_thread_cpu_seconds_total', { role: roles });
const guest = growth('kvm_thread_cpu_seconds_total', { mode: ['guest'] });
const haltPoll = plus(
  growth('kvm_vm_halt_poll_success_seconds_total'),
  growth('kvm_vm_halt_poll_fail_seconds_total'),
);

const QUANTILE = { unit: 'seconds', better: 'lower', isPerIo: false } as const;
const LATENCY: readonly HistogramName[] = [
  'kvm_vm_disk_duration_seconds',
  'kvm_vm_block_request_duration_seconds',
];

/** The terms that describe the work of the VMs: model.ts, `Work`. */
export const WORK = {
  reads,
  completed,
  bytes: plus(readBytes, writtenBytes),
  diskSeconds,
  ios,
  vcpus: level('kvm_vm_vcpus'),
  vcpuSamples: samplesOf('kvm_vm_vcpus'),
} as const;

/** Events that are counted by each set of trace events. BPF may count a sample of them. */
export const TRACED: Readonly<Record<string, { readonly what: string; readonly events: Term }>> = {
  notifications: { what: 'Kicks', events: kicks },
  interrupts: { what: 'Injections and EOIs', events: plus(injections, eois) },
};

/** All metrics, in the order of the report. */
export const METRICS: readonly MetricDefinition[] = [
  perSecond(['iops', 'I/Os per second', 'per_second', 'higher'], ios),
  perSecond(['read_iops', 'Reads per second', 'per_second', 'higher'], reads),
  perSecond(['write_iops', 'Writes per second', 'per_second', 'higher'], writes),
  perSecond(['bytes', 'Bytes per second', 'bytes_per_second', 'higher'], WORK.bytes),
  perSecond(['read_bytes', 'Bytes read per second', 'bytes_per_second', 'higher'], readBytes),
  perSecond(['written_bytes', 'Bytes written per second', 'bytes_per_second', 'higher'], writtenBytes),
  ratio(['latency_mean', 'Mean latency', 'seconds', 'lower'], diskSeconds, completed),
  { ...QUANTILE, id: 'latency_p50', title: 'Median latency', quantile: 0.5, histograms: LATENCY },
  {
    ...QUANTILE,
    id: 'latency_p99',
    title: '99th percentile of latency',
    quantile: 0.99,
    histograms: LATENCY,
  },
  perSecond(['exits', 'Exits per second', 'per_second', 'lower'], exits),
  perIo(['all_exits_per_io', 'Exits of all kinds per I/O', 'number', 'lower'], exits),
  perIo(
    ['exits_per_io', 'Kicks, injections and EOIs per I/O', 'number', 'lower'],
    plus(kicks, injections, eois),
  ),
  perIo(['kicks_per_io', 'Kicks per I/O', 'number', 'lower'], kicks),
  perIo(['injections_per_io', 'Injections per I/O', 'number', 'lower'], injections),
  perIo(['eois_per_io', 'EOIs per I/O', 'number', 'lower'], eois),
  ratio(['ios_per_kick', 'I/Os per kick', 'number', 'higher'], ios, kicks, { isPerIo: true }),
  ratio(['ios_per_injection', 'I/Os per injection', 'number', 'higher'], ios, injections, { isPerIo: true }),
  percentOfTime(['cpu', 'CPU', 'percent', 'lower'], cpu),
  percentOfTime(['cpu_vcpu', 'CPU of vCPUs', 'percent', 'lower'], cpuOf('vcpu')),
  percentOfTime(['cpu_iothread', 'CPU of IOThreads', 'percent', 'lower'], cpuOf('iothread')),
  percentOfTime(['cpu_vhost', 'CPU of vhost threads', 'percent', 'lower'], cpuOf('vhost')),
  percentOfTime(['cpu_sqpoll', 'CPU of SQPOLL threads', 'percent', 'lower'], cpuOf('sqpoll')),
  percentOfTime(['cpu_worker', 'CPU of workers', 'percent', 'lower'], cpuOf('io_worker', 'worker')),
  percentOfTime(
    ['cpu_other', 'CPU of the emulator and other threads', 'percent', 'lower'],
    cpuOf('emulator', 'monitor', 'other', 'unknown'),
  ),
  perIo(['cpu_per_1000_ios', 'CPU seconds per 1,000 I/Os', 'seconds', 'lower'], cpu, 1000),
  ratio(['guest_cpu_share', 'Guest share of CPU time', 'ratio', 'higher'], guest, cpu),
  perIo(
    ['context_switches_per_io', 'Context switches per I/O', 'number', 'lower'],
    growth('kvm_thread_context_switches_total'),
  ),
  perSecond(
    ['migrations', 'Migrations per second', 'per_second', 'lower'],
    first(growth('kvm_thread_migrations_total'), growth('kvm_thread_observed_migrations_total')),
  ),
  ratio(
    ['run_queue_wait', 'Wait for a CPU per second of run time', 'ratio', 'lower'],
    growth('kvm_thread_wait_seconds_total'),
    growth('kvm_thread_run_seconds_total'),
  ),
  percentOfTime(
    ['throttled', 'Throttled by a CPU quota', 'percent', 'lower'],
    largestGrowth('kvm_vm_throttled_seconds_total'),
  ),
  percentOfTime(['halt_poll', 'CPU of halt polling', 'percent', 'lower'], haltPoll),
  percentOfTime(
    ['lock_contention', 'Wait for contended kernel locks', 'percent', 'lower'],
    growth('kvm_vm_lock_contention_seconds_total'),
  ),
  meanOf(['queue_locality', 'Queue locality', 'ratio', 'higher'], 'kvm_vm_queue_locality_ratio'),
  meanOf(['queue_fairness', 'Queue fairness', 'ratio', 'higher'], 'kvm_vm_queue_fairness_ratio'),
];

/** All terms that are read for these metrics and for the description of the work. */
export function termsOf(metrics: readonly MetricDefinition[]): Term[] {
  const ofMetrics = metrics.flatMap((metric) =>
    'terms' in metric ? metric.terms : metric.histograms.map((name) => growth(`${name}_bucket`)),
  );
  return [...ofMetrics, ...Object.values(WORK)];
}
