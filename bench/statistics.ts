export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

const RESAMPLES = 10_000;

/** 95% bootstrap interval of the median: percentiles of the medians of resamples of the same size. */
export function bootstrap(values: readonly number[]): [number, number] {
  const draw = (): number => values[Math.floor(Math.random() * values.length)] ?? Number.NaN;
  const medians = Array.from({ length: RESAMPLES }, () => median(values.map(draw))).sort((a, b) => a - b);
  return [medians[RESAMPLES * 0.025] ?? Number.NaN, medians[RESAMPLES * 0.975] ?? Number.NaN];
}
