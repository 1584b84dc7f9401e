import type { Observation, Span } from '../model.ts';

/**
 * Seconds after the beginning of each span that count for nothing. A state of a technique takes two judgements of 10 s
 * (decision 0033), QEMU's and KVM's polling times adapt within a second, and fio opens its files in the first seconds.
 */
export const WARM_UP = 60;

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

export function samplesOf(observations: readonly Observation[], spans: readonly Span[]): Samples {
  const inSpans = within(spans);
  const valid = observations.filter(isUsable);
  const kept = valid.filter(inSpans);
  const width = kept[0]?.sums.length ?? 0;
  const each = Math.max(1, Math.ceil(kept.length / MAX_BINS));
  const bins = Math.ceil(kept.length / each);
  const sums = new Float64Array(bins * width);
  const ends = new Float64Array(bins);
  const totals = new Array<number>(width).fill(0);
  for (const [i, observation] of kept.entries()) {
    const bin = Math.floor(i / each);
    ends[bin] = observation.at;
    for (let k = 0; k < width; k++) {
      const value = observation.sums[k] ?? 0;
      sums[bin * width + k] = (sums[bin * width + k] ?? 0) + value;
      totals[k] = (totals[k] ?? 0) + value;
    }
  }
  const cut = valid.length - kept.length;
  return {
    count: kept.length,
    cut,
    invalid: observations.length - valid.length,
    bins,
    width,
    sums,
    ends,
    totals,
  };
}

function isUsable({ at, seconds, sums }: Observation): boolean {
  return Number.isFinite(at) && seconds > 0 && sums.every(Number.isFinite);
}

/** Whether an observation is within a span, after its warm-up. The spans of a long time may be thousands. */
function within(spans: readonly Span[]): (observation: Observation) => boolean {
  const sorted = [...spans].sort((a, b) => a.start - b.start);
  return ({ at, seconds }) => {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle]?.start ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    const span = sorted[low - 1];
    return span !== undefined && at <= span.end && at - seconds >= span.start + WARM_UP;
  };
}
