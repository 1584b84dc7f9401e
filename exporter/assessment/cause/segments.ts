/** A part of a series with about the same level. */
export interface Segment {
  /** First value. */
  readonly from: number;
  /** After the last value. */
  readonly to: number;
  /** Median of its values. */
  readonly level: number;
}

/** Fewer values are no level: half a minute in the daemon's history. */
const MIN_VALUES = 3;
/** A smaller change of the level does not count: rates vary by a fifth without a cause. */
const MIN_CHANGE = Math.log(1.25);
/** A change must be this many times the noise of a mean. */
const SURENESS = 4;
/** Minimum noise of a series. */
const LEAST_NOISE = 0.02;
/** Smaller values are raised to this share of the largest, because 0 has no logarithm. */
const FLOOR = 1e-3;
/** Factor from the median of the differences to the standard deviation, for a normal distribution. */
const OF_DIFFERENCES = 0.6745 * Math.SQRT2;

interface Known {
  readonly index: number;
  /** Logarithm of the value: half as much counts as twice as much. */
  readonly log: number;
}

/**
 * Splits a series where its level changes, by binary segmentation: the split that explains most of the variance, then the same
 * on both sides.
 *
 * @param values null if unknown
 */
export function segmentsOf(values: readonly (number | null)[]): Segment[] {
  const most = values.reduce<number>((max, value) => Math.max(max, value ?? 0), 0);
  if (most === 0) return [];
  const known = values.flatMap((value, index): Known[] =>
    value === null || !(value >= 0) ? [] : [{ index, log: Math.log(Math.max(value, most * FLOOR)) }],
  );
  const sums = [0];
  for (const { log } of known) sums.push((sums.at(-1) ?? 0) + log);
  const meanOf = (from: number, to: number): number => ((sums[to] ?? 0) - (sums[from] ?? 0)) / (to - from);
  const medianOf = (from: number, to: number): number => median(known.slice(from, to).map(({ log }) => log));
  const noise = noiseOf(known);
  const found: Segment[] = [];
  const divide = (from: number, to: number): void => {
    const split = bestSplit(from, to, meanOf);
    const change = split === undefined ? 0 : Math.abs(medianOf(from, split) - medianOf(split, to));
    if (split !== undefined && change >= Math.max(MIN_CHANGE, noise * sureness(split - from, to - split))) {
      divide(from, split);
      divide(split, to);
      return;
    }
    const [first, last] = [known[from], known[to - 1]];
    if (first !== undefined && last !== undefined)
      found.push({ from: first.index, to: last.index + 1, level: Math.exp(medianOf(from, to)) });
  };
  if (known.length > 0) divide(0, known.length);
  return found;
}

function sureness(before: number, after: number): number {
  return SURENESS * Math.sqrt(1 / before + 1 / after);
}

function bestSplit(
  from: number,
  to: number,
  meanOf: (from: number, to: number) => number,
): number | undefined {
  let best: number | undefined;
  let most = 0;
  for (let split = from + MIN_VALUES; split <= to - MIN_VALUES; split++) {
    const [before, after] = [split - from, to - split];
    const change = meanOf(from, split) - meanOf(split, to);
    const gain = ((before * after) / (before + after)) * change ** 2;
    if (gain <= most) continue;
    most = gain;
    best = split;
  }
  return best;
}

/** The deviation of one value. Few differences are changes of the level, so they do not affect the median. */
function noiseOf(known: readonly Known[]): number {
  const differences = known.slice(1).map(({ log }, i) => Math.abs(log - (known[i]?.log ?? log)));
  return Math.max(LEAST_NOISE, median(differences) / OF_DIFFERENCES);
}

/** A single outlier does not affect it. 0 without values. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
