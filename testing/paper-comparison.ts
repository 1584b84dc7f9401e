import { METRICS } from '../exporter/compare/metrics.ts';
import type {
  ComparedMetric,
  Comparison,
  Configuration,
  Observation,
  Work,
} from '../exporter/compare/model.ts';
import { STAGES, type Stage } from '../exporter/metrics/stages.ts';
import { TECHNIQUES, type Technique, type TechniqueState } from '../exporter/metrics/techniques.ts';
import { Random } from '../lab/simhost/random.ts';
import { UNKNOWN_WORK } from './comparison.ts';

const START = 1_800_000_000;
const SECONDS = 3600;
const PAUSE = 1200;
const INTERVAL = 15;
const DEPTH = 128;

/** I/Os per second of Fig. 15 of the paper, and made-up values of the other metrics that fit them. */
const VALUES: Readonly<Record<Stage, Readonly<Record<string, number>>>> = {
  original: { iops: 95e3, exits_per_io: 3.02, kicks_per_io: 1.01, cpu: 980, context_switches_per_io: 2.1 },
  affinity: { iops: 135e3, exits_per_io: 2.98, kicks_per_io: 0.98, cpu: 950, context_switches_per_io: 2.0 },
  exitless_polling: {
    iops: 200e3,
    exits_per_io: 0.04,
    kicks_per_io: 0.008,
    cpu: 850,
    context_switches_per_io: 0.21,
  },
  parallel_batching: {
    iops: 250e3,
    exits_per_io: 0.031,
    kicks_per_io: 0.006,
    cpu: 855,
    context_switches_per_io: 0.2,
  },
  pinned_queues: {
    iops: 262e3,
    exits_per_io: 0.03,
    kicks_per_io: 0.006,
    cpu: 840,
    context_switches_per_io: 0.15,
  },
};

/** An hour of each of the paper's five configurations, with all metrics of `compare` that are ratios of two sums. */
export function paperComparison(): Comparison {
  const metrics = METRICS.flatMap((metric): ComparedMetric[] => ('terms' in metric ? [metric] : []));
  const random = new Random(15);
  const configurations = STAGES.map((stage, i) => configurationOf(stage, i, metrics, random));
  return { subject: 'db-primary', metrics, configurations };
}

function configurationOf(
  stage: Stage,
  position: number,
  metrics: readonly ComparedMetric[],
  random: Random,
): Configuration {
  const start = START + position * (SECONDS + PAUSE);
  const values = VALUES[stage];
  const iops = values['iops'] ?? 0;
  const work: Work = {
    ...UNKNOWN_WORK,
    readShare: 1,
    bytesPerIo: 4096,
    inFlight: DEPTH * (1 + 0.01 * position),
    iosPerSecond: iops,
    vcpus: 6,
    otherVmsCpu: stage === 'parallel_batching' ? 4.2 : 1.3,
  };
  const of: Record<string, number> = {
    ...values,
    read_iops: iops,
    write_iops: 0,
    bytes: iops * 4096,
    read_bytes: iops * 4096,
    written_bytes: 0,
    latency_mean: DEPTH / iops,
    exits: iops * ((values['exits_per_io'] ?? 0) + 0.1),
    all_exits_per_io: (values['exits_per_io'] ?? 0) + 0.1,
    injections_per_io: ((values['exits_per_io'] ?? 0) - (values['kicks_per_io'] ?? 0)) / 2,
    ios_per_kick: 1 / (values['kicks_per_io'] ?? 1),
    cpu_vcpu: 595,
    cpu_iothread: (values['cpu'] ?? 0) - 600,
    cpu_per_1000_ios: ((values['cpu'] ?? 0) / 100 / iops) * 1000,
    guest_cpu_share: 0.55 + 0.03 * position,
    migrations: position === 0 ? 31 : 0,
    run_queue_wait: 0.08 / (position + 1),
    queue_locality: stage === 'pinned_queues' ? 0.99 : 0.31,
  };
  const observations = new Map(
    metrics.flatMap((metric) => {
      const value = of[metric.id];
      return value === undefined ? [] : [[metric.id, seriesOf(metric, value, start, random)] as const];
    }),
  );
  return {
    name: stage,
    vms: ['db-primary'],
    hosts: ['kvm-7:9954'],
    spans: [{ start, end: start + SECONDS }],
    interval: INTERVAL,
    warmUp: 60,
    observations,
    work,
    techniques: techniquesOf(position),
    notes: position === 2 ? ['Scrapes are missing at 3 times: nothing is counted there.'] : [],
  };
}

function seriesOf(metric: ComparedMetric, value: number, start: number, random: Random): Observation[] {
  let state = 0;
  // A metric may have a factor, as of percent.
  const factor = metric.valueOf([1, 1]);
  const count = Math.floor(SECONDS / INTERVAL);
  const all = Array.from({ length: count }, (_, i): Observation => {
    state = 0.75 * state + random.around(1) - 1;
    const sums = [(value / factor) * INTERVAL * Math.max(0, 1 + 0.03 * state), INTERVAL];
    return { at: start + (i + 1) * INTERVAL, seconds: INTERVAL, sums };
  });
  return all.filter((_, i) => i < 100 || i > 104);
}

function techniquesOf(position: number): Map<Technique, Map<TechniqueState, number>> {
  return new Map(
    TECHNIQUES.map((technique, i) => {
      const isInForce = i < position;
      return [
        technique,
        new Map<TechniqueState, number>(
          isInForce
            ? [
                ['in_force', 3560],
                ['unknown', 40],
              ]
            : [['off', 3600]],
        ),
      ];
    }),
  );
}
