import type { ComparedMetric, Configuration } from '../model.ts';
import type { Estimate } from './assessment.ts';
import { errorOfMean, type MeanError } from './long-run-variance.ts';
import { type Samples, samplesOf } from './samples.ts';
import { criticalT } from './student-t.ts';

/** An estimate with what a comparison needs. */
export interface Estimated extends Estimate {
  /** Variance of the logarithm of the value, with its degrees of freedom. undefined if it cannot be said. */
  readonly error: MeanError | undefined;
}

const MIN_SAMPLES = 20;
/** With fewer the correlation itself is unknown: an hour may have six levels of the load. */
const MIN_EFFECTIVE_SAMPLES = 6;
const MAX_POINTS = 120;

/** A metric in one configuration, with its interval. */
export function estimate(
  { id, valueOf: metricOf }: ComparedMetric,
  { observations, spans, warmUp }: Pick<Configuration, 'observations' | 'spans' | 'warmUp'>,
  confidence: number,
): Estimated {
  const samples = samplesOf(observations.get(id) ?? [], spans, warmUp);
  const value = metricOf(samples.totals);
  const known = { samples: samples.count, line: lineOf(samples, metricOf) };
  const unknown = (why: string, effectiveSamples = 0): Estimated => ({
    ...known,
    value: Number.isFinite(value) ? value : undefined,
    interval: undefined,
    effectiveSamples,
    why,
    error: undefined,
  });
  if (samples.count === 0) return unknown(withoutSamples(samples));
  if (!Number.isFinite(value)) return unknown('the metric is not defined: its denominator is 0');
  if (value < 0) return unknown(`the value is negative (${value})`);
  if (samples.count < MIN_SAMPLES)
    return unknown(
      `only ${samples.count} sample${samples.count === 1 ? '' : 's'}${warmUp > 0 ? ' after the warm-up' : ''}, and ${MIN_SAMPLES} are needed`,
    );
  const influences = influencesOf(samples, metricOf, value);
  if (influences === undefined) return unknown('one sample holds almost all that was counted');
  const error = errorOfMean(influences);
  const independent = Math.floor(error.effectiveSamples);
  if (independent < MIN_EFFECTIVE_SAMPLES)
    return unknown(
      `the samples are worth ${independent} independent ones, and ${MIN_EFFECTIVE_SAMPLES} are needed: measure longer`,
      error.effectiveSamples,
    );
  const factor = Math.exp(criticalT(confidence, error.df) * Math.sqrt(error.variance));
  return {
    ...known,
    value,
    interval: [value / factor, value * factor],
    effectiveSamples: error.effectiveSamples,
    why: undefined,
    error,
  };
}

function withoutSamples({ cut, invalid }: Samples): string {
  if (cut > 0) return 'all samples are within the warm-up: the configuration was in force too shortly';
  return invalid > 0 ? 'no sample is a finite number' : 'no samples';
}

/**
 * How much each bin contributes to the value, relative to it: the jackknife's influence (Efron 1982). It is right for
 * quantiles and for bins of different length too. undefined if the metric is not defined without some bin.
 */
function influencesOf(
  { bins, width, sums, totals }: Samples,
  metricOf: ComparedMetric['valueOf'],
  value: number,
): Float64Array | undefined {
  const influences = new Float64Array(bins);
  if (value === 0) return influences;
  const others = [...totals];
  let mean = 0;
  for (let bin = 0; bin < bins; bin++) {
    for (let k = 0; k < width; k++) {
      const total = totals[k] ?? 0;
      const rest = total - (sums[bin * width + k] ?? 0);
      // Rounding may leave a little of a sum that is only in this bin.
      others[k] = Math.abs(rest) < 1e-12 * Math.abs(total) ? 0 : rest;
    }
    const influence = (bins - 1) * (1 - metricOf(others) / value);
    if (!Number.isFinite(influence)) return undefined;
    influences[bin] = influence;
    mean += influence / bins;
  }
  return influences.map((influence) => influence - mean);
}

function lineOf({ bins, width, sums, ends }: Samples, metricOf: ComparedMetric['valueOf']): Estimate['line'] {
  const each = Math.max(1, Math.ceil(bins / MAX_POINTS));
  const line: [number, number][] = [];
  for (let first = 0; first < bins; first += each) {
    const last = Math.min(bins, first + each) - 1;
    const point = new Array<number>(width).fill(0);
    for (let bin = first; bin <= last; bin++)
      for (let k = 0; k < width; k++) point[k] = (point[k] ?? 0) + (sums[bin * width + k] ?? 0);
    const value = metricOf(point);
    if (Number.isFinite(value)) line.push([ends[last] ?? 0, value]);
  }
  return line;
}
