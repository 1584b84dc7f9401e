import type { LiveHistogram } from '../live.ts';

/** Non-cumulative counts by upper bound. Bounds ascend, and the last is Infinity. */
export interface Distribution {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly count: number;
  readonly sum: number | undefined;
}

/** Exits of an idle vCPU. Their duration is the idle time and not a latency. */
export const IDLE_REASON = /^(hlt|idle-halt|wfx|wfi|mwait_instruction|mwait)$/i;

/** The difference of two cumulative histograms; undefined if the counters were reset. */
export function between(before: LiveHistogram | undefined, now: LiveHistogram): Distribution | undefined {
  if (before !== undefined && now.count < before.count) return undefined;
  const past = new Map(before?.buckets);
  const bounds: number[] = [];
  const counts: number[] = [];
  // A bucket that is missing in the earlier histogram had the value of the bucket below it.
  let [lower, pastLower] = [0, 0];
  for (const [le, cumulative] of now.buckets) {
    const pastHere = past.get(le) ?? pastLower;
    bounds.push(le ?? Number.POSITIVE_INFINITY);
    counts.push(Math.max(0, cumulative - lower - (pastHere - pastLower)));
    [lower, pastLower] = [cumulative, pastHere];
  }
  const sum = now.sum === undefined ? undefined : now.sum - (before?.sum ?? 0);
  return { bounds, counts, count: now.count - (before?.count ?? 0), sum };
}

/** Merges all distributions into one. */
export function merged(parts: readonly Distribution[]): Distribution {
  const counts = new Map<number, number>();
  for (const part of parts) {
    for (const [i, bound] of part.bounds.entries()) {
      counts.set(bound, (counts.get(bound) ?? 0) + (part.counts[i] ?? 0));
    }
  }
  const bounds = [...counts.keys()].sort((a, b) => a - b);
  return {
    bounds,
    counts: bounds.map((bound) => counts.get(bound) ?? 0),
    count: parts.reduce((sum, part) => sum + part.count, 0),
    sum: parts.reduce<number | undefined>(
      (sum, part) => (sum === undefined || part.sum === undefined ? undefined : sum + part.sum),
      0,
    ),
  };
}

/** Interpolated as in PromQL's histogram_quantile; undefined without samples. */
export function quantile({ bounds, counts }: Distribution, q: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  const rank = q * total;
  let [below, lower] = [0, 0];
  for (const [i, bound] of bounds.entries()) {
    const count = counts[i] ?? 0;
    if (below + count >= rank && count > 0) {
      return Number.isFinite(bound) ? lower + ((bound - lower) * (rank - below)) / count : lower;
    }
    below += count;
    if (Number.isFinite(bound)) lower = bound;
  }
  return lower;
}
