import { assess } from '../exporter/compare/statistics/assess.ts';
import type { Change } from '../exporter/compare/statistics/assessment.ts';
import { type Noise, noisyConfiguration, type Rates, testComparison } from './comparison.ts';

/** Results of a metric's comparisons, as numbers of pairs. */
export interface Outcome {
  pairs: number;
  /** "Cannot say". */
  unknown: number;
  /** "No significant change". */
  same: number;
  /** Significant, in the direction of the true change or not. */
  changed: number;
  /** With an interval that has the true gain. */
  covered: number;
}

export const TRIAL_RATES: Rates = { ios: 95_000, exits: 3, cpuSeconds: 1e-4, latency: 3e-4 };

/** Later than any first configuration. */
const LATER = 1_900_000_000;

/**
 * Compares pairs of configurations, each pair with two seeds of its own.
 *
 * @param gain true improvement of each metric: 0.05 is 5% more I/Os, and 1/1.05 of the exits
 */
export function comparePairs(pairs: number, gain: number, noise: Omit<Noise, 'seed'>): Map<string, Outcome> {
  const { ios, exits, cpuSeconds, latency } = TRIAL_RATES;
  const factor = 1 + gain;
  const better: Rates = {
    ios: ios * factor,
    exits: exits / factor,
    cpuSeconds: cpuSeconds / factor,
    latency: latency / factor,
  };
  const outcomes = new Map<string, Outcome>();
  for (let pair = 0; pair < pairs; pair++) {
    const before = noisyConfiguration('before', TRIAL_RATES, { ...noise, seed: 2 * pair + 1 });
    const after = noisyConfiguration('after', better, { ...noise, seed: 2 * pair + 2 }, LATER);
    const [, assessed] = assess(testComparison(before, after), { confidence: 0.95 }).configurations;
    for (const [id, change] of assessed?.againstFirst?.changes ?? [])
      add(outcomes, id, change, id === 'iops' ? gain : 1 / factor - 1);
  }
  return outcomes;
}

function add(outcomes: Map<string, Outcome>, id: string, change: Change, truth: number): void {
  const outcome = outcomes.get(id) ?? { pairs: 0, unknown: 0, same: 0, changed: 0, covered: 0 };
  outcomes.set(id, outcome);
  outcome.pairs++;
  if (change.verdict === 'unknown') outcome.unknown++;
  else if (change.verdict === 'same') outcome.same++;
  else outcome.changed++;
  const [low, high] = change.interval ?? [Number.NaN, Number.NaN];
  if (low <= truth && truth <= high) outcome.covered++;
}
