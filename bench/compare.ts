import { parseArgs } from 'node:util';
import { assess } from '../exporter/compare/statistics/assess.ts';
import { criticalT, twoSidedP } from '../exporter/compare/statistics/student-t.ts';
import { type Noise, noisyConfiguration, testComparison } from '../testing/comparison.ts';
import { comparePairs, type Outcome, TRIAL_RATES } from '../testing/comparison-trials.ts';
import { markdown } from './table.ts';

// Whether the statistics of `compare` hold: how often they report a change where there is none, find one of 5%, and how
// often the interval has the true gain. Then the time and memory of 30 days.

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '1000' } } });
const pairs = Number(values.pairs);

const GAIN = 0.05;
const HOUR = { samples: 240, interval: 15 };
const SPREAD = 0.04;
/** Degrees of freedom with which Student's t is a normal distribution. */
const NORMAL = 1e6;
/** The spread of one observation is 4% in each. */
const CASES = [
  ['an hour, no correlation', { ...HOUR, correlation: 0 }],
  ['an hour, correlation 0.5', { ...HOUR, correlation: 0.5 }],
  ['an hour, correlation 0.8', { ...HOUR, correlation: 0.8 }],
  ['an hour, correlation 0.9', { ...HOUR, correlation: 0.9 }],
  ['an hour, 0.8, load ±30% every 3 minutes', { ...HOUR, load: { swing: 0.3, lasts: 12 } }],
  ['an hour, 0.8, load ±30% every 10 minutes', { ...HOUR, load: { swing: 0.3, lasts: 40 } }],
  ['15 minutes, correlation 0.8', { ...HOUR, samples: 60 }],
] as const;

const rows = [
  [
    ...['series', 'metric', 'A/A: cannot say', 'no change', 'change', 'coverage A/A'],
    ...['5% found', 'best possible', 'coverage 5%'],
  ],
];
for (const [name, noise] of CASES) {
  const same = comparePairs(pairs, 0, noise);
  const better = comparePairs(pairs, GAIN, noise);
  for (const id of ['iops', 'exits_per_io']) {
    const [a, b] = [same.get(id), better.get(id)];
    if (a === undefined || b === undefined) continue;
    const shares = [a.unknown, a.same, a.changed].map((count) => share(count, pairs));
    const best = id === 'iops' ? share(bestPower(GAIN, noise), 1) : '';
    rows.push([name, id, ...shares, coverage(a), share(b.changed, pairs), best, coverage(b)]);
  }
}
console.log(markdown(rows));

const MONTH = (30 * 86_400) / HOUR.interval;
const start = 1_800_000_000;
const configurations = [1, 2].map((seed) =>
  noisyConfiguration(`${seed}`, TRIAL_RATES, { seed, samples: MONTH }, start * seed),
);
const before = process.memoryUsage.rss();
const begin = performance.now();
assess(testComparison(...configurations), { confidence: 0.95 });
const ms = performance.now() - begin;
const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
console.log(
  `two configurations of 30 days, ${MONTH} observations of 4 metrics: ${ms.toFixed(0)} ms, +${grown.toFixed(0)} MiB`,
);

/** Of a two-sided test at 5% whose statistic is normal, of the difference between two means of logarithms. */
function bestPower(
  gain: number,
  { samples, correlation = 0.8, spread = SPREAD, load }: Omit<Noise, 'seed'>,
): number {
  const ofLoad = load === undefined ? 0 : (load.swing ** 2 / 3) * meanVariance(1 - 1 / load.lasts, samples);
  const variance = spread ** 2 * meanVariance(correlation, samples) + ofLoad;
  const shift = Math.log1p(gain) / Math.sqrt(2 * variance);
  const limit = criticalT(0.95, NORMAL);
  return upperTail(limit - shift) + upperTail(limit + shift);
}

/** Of the mean of an AR(1) of variance 1. */
function meanVariance(correlation: number, samples: number): number {
  let sum = 1;
  for (let k = 1; k < samples; k++) sum += 2 * (1 - k / samples) * correlation ** k;
  return sum / samples;
}

function upperTail(z: number): number {
  const both = twoSidedP(Math.abs(z), NORMAL);
  return z > 0 ? both / 2 : 1 - both / 2;
}

function coverage({ covered, pairs: all, unknown }: Outcome): string {
  return share(covered, all - unknown);
}

function share(count: number, of: number): string {
  return of === 0 ? '' : `${((100 * count) / of).toFixed(1)}%`;
}
