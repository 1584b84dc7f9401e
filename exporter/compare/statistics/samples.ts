import type { Observation, Span } from '../model.ts';

/** The metric's error uses low frequencies only, so longer series are summed. */
const MAX_BINS = 1024;

/** Consecutive observations in sums, as many in each. */
export interface Samples {
  /** Observations that count. */
  readonly count: number;
  /** Observations that were cut off with the warm-up, or that reach beyond a span. */
  readonly cut: number;
  /** Observations with a number that is not finite. */
  readonly invalid: number;
  readonly bins: number;
  /** Sums of each bin. */
  readonly width: number;
  readonly sums: Float64Array;
  /** The end of each bin, in seconds of the epoch. */
  readonly ends: Float64Array;
  readonly totals: readonly number[];
}

export function samplesOf(
  observations: readonly Observation[],
  spans: readonly Span[],
  warmUp: number,
): Samples {
  const isInside = within(spans, warmUp);
  const kept: Observation[] = [];
  let invalid = 0;
  for (const observation of observations) {
    if (!isUsable(observation)) invalid++;
    else if (isInside(observation)) kept.push(observation);
  }
  const width = kept[0]?.sums.length ?? 0;
  const perBin = Math.max(1, Math.ceil(kept.length / MAX_BINS));
  const bins = Math.ceil(kept.length / perBin);
  const sums = new Float64Array(bins * width);
  const ends = new Float64Array(bins);
  let i = 0;
  for (const { at, sums: added } of kept) {
    const bin = Math.floor(i++ / perBin);
    ends[bin] = at;
    for (let k = 0; k < width; k++) {
      const cell = bin * width + k;
      sums[cell] = (sums[cell] ?? 0) + (added[k] ?? 0);
    }
  }
  const totals = new Array<number>(width).fill(0);
  sums.forEach((sum, cell) => {
    totals[cell % width] = (totals[cell % width] ?? 0) + sum;
  });
  const cut = observations.length - invalid - kept.length;
  return { count: kept.length, cut, invalid, bins, width, sums, ends, totals };
}

function isUsable({ at, seconds, sums }: Observation): boolean {
  if (!Number.isFinite(at) || !(seconds > 0)) return false;
  for (const sum of sums) if (!Number.isFinite(sum)) return false;
  return true;
}

/** Whether an observation is within a span, after its warm-up. The spans of a long time may be thousands. */
function within(spans: readonly Span[], warmUp: number): (observation: Observation) => boolean {
  const sorted = [...spans].sort((a, b) => a.start - b.start);
  return ({ at, seconds }) => {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle]?.start ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    const span = sorted[low - 1];
    return span !== undefined && at <= span.end && at - seconds >= span.start + warmUp;
  };
}
