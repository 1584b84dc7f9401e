import type {
  ComparedMetric,
  Comparison,
  Configuration,
  Observation,
  Work,
} from '../exporter/compare/model.ts';
import { Random } from '../lab/simhost/random.ts';

/** Seconds of the epoch at which the first configuration begins. */
const START = 1_800_000_000;

/** The variation of a test's series. */
export interface Noise {
  readonly seed: number;
  /** Observations of each metric. */
  readonly samples: number;
  /** Seconds between two scrapes. */
  readonly interval?: number;
  /** Correlation of an observation with the one before: the coefficient of an AR(1). */
  readonly correlation?: number;
  /** Standard deviation, relative to the mean. */
  readonly spread?: number;
  /** Largest difference of the load from its mean, and its mean duration in observations. */
  readonly load?: { readonly swing: number; readonly lasts: number };
}

/** The mean work of one configuration per second. */
export interface Rates {
  readonly ios: number;
  /** Of one I/O. */
  readonly exits: number;
  readonly cpuSeconds: number;
  readonly latency: number;
}

const ratio = ([a = Number.NaN, b = 0]: readonly number[]): number => (b > 0 ? a / b : Number.NaN);

/** Four metrics as those of `compare`: by the second and by the I/O. */
const TEST_METRICS: readonly ComparedMetric[] = [
  {
    id: 'iops',
    title: 'I/Os per second',
    unit: 'per_second',
    better: 'higher',
    isPerIo: false,
    valueOf: ratio,
  },
  {
    id: 'latency_mean',
    title: 'Mean latency',
    unit: 'seconds',
    better: 'lower',
    isPerIo: false,
    valueOf: ratio,
  },
  {
    id: 'exits_per_io',
    title: 'Exits per I/O',
    unit: 'number',
    better: 'lower',
    isPerIo: true,
    valueOf: ratio,
  },
  {
    id: 'cpu_per_1000_ios',
    title: 'CPU seconds per 1,000 I/Os',
    unit: 'seconds',
    better: 'lower',
    isPerIo: true,
    valueOf: ([cpu = 0, ios = 0]) => (1000 * cpu) / ios,
  },
];

export const UNKNOWN_WORK: Work = {
  readShare: undefined,
  bytesPerIo: undefined,
  inFlight: undefined,
  iosPerSecond: undefined,
  vcpus: undefined,
  otherVmsCpu: undefined,
};

export function testConfiguration(name: string, about: Partial<Configuration> = {}): Configuration {
  return {
    name,
    vms: ['web-1'],
    hosts: ['host-1:9954'],
    spans: [{ start: START, end: START + 3600 }],
    interval: 15,
    warmUp: 60,
    observations: new Map(),
    work: UNKNOWN_WORK,
    techniques: new Map(),
    notes: [],
    ...about,
  };
}

export function testComparison(...configurations: readonly Configuration[]): Comparison {
  return { subject: 'web-1', metrics: TEST_METRICS, configurations };
}

/** A configuration whose series vary as those of a VM: autocorrelated noise, and a load that changes. */
export function noisyConfiguration(name: string, rates: Rates, noise: Noise, start = START): Configuration {
  const { samples, interval = 15, seed } = noise;
  const random = new Random(seed);
  const load = loadOf(random, noise);
  const around = (): Float64Array => autoregression(random, noise);
  const [io, exit, cpu, latency] = [around(), around(), around(), around()];
  // The warm-up, and the observation across its end, precede the first observation that counts.
  const first = start + 60;
  const series = (sums: (i: number, ios: number) => number[]): Observation[] =>
    Array.from({ length: samples }, (_, i) => {
      const ios = rates.ios * interval * (load[i] ?? 1) * (io[i] ?? 1);
      return { at: first + (i + 1) * interval, seconds: interval, sums: sums(i, ios) };
    });
  const observations = new Map([
    ['iops', series((_, ios) => [ios, interval])],
    ['latency_mean', series((i, ios) => [ios * rates.latency * (latency[i] ?? 1), ios])],
    ['exits_per_io', series((i, ios) => [ios * rates.exits * (exit[i] ?? 1), ios])],
    ['cpu_per_1000_ios', series((i, ios) => [ios * rates.cpuSeconds * (cpu[i] ?? 1), ios])],
  ]);
  const spans = [{ start, end: first + samples * interval }];
  return testConfiguration(name, { spans, interval, observations });
}

/** Around 1. */
export function autoregression(
  random: Random,
  { samples, correlation = 0.8, spread = 0.04 }: Noise,
): Float64Array {
  const series = new Float64Array(samples);
  let state = normal(random);
  for (let i = 0; i < samples; i++) {
    series[i] = 1 + spread * state;
    state = correlation * state + Math.sqrt(1 - correlation ** 2) * normal(random);
  }
  return series;
}

/** Levels around 1 that last a random number of observations. */
function loadOf(random: Random, { samples, load }: Noise): Float64Array {
  const series = new Float64Array(samples).fill(1);
  if (load === undefined) return series;
  let level = random.around(load.swing);
  for (let i = 0; i < samples; i++) {
    if (random.next() < 1 / load.lasts) level = random.around(load.swing);
    series[i] = level;
  }
  return series;
}

/** A normal random number. @see Box and Muller 1958 */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
