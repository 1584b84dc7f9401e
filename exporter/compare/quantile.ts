/**
 * The quantile of a histogram, linear within a bucket, as histogram_quantile() of Prometheus.
 *
 * @param bounds upper bounds of the buckets, ascending; the last may be infinite
 * @param counts observations up to each bound
 */
export function quantileOf(quantile: number, bounds: readonly number[], counts: readonly number[]): number {
  const total = counts.at(-1) ?? 0;
  if (!(total > 0)) return Number.NaN;
  const rank = quantile * total;
  const i = counts.findIndex((count) => count >= rank);
  const upper = bounds[i] ?? Number.NaN;
  const lower = i === 0 ? 0 : (bounds[i - 1] ?? 0);
  // Nothing is known above the last bound.
  if (upper === Number.POSITIVE_INFINITY) return bounds.length > 1 ? lower : Number.NaN;
  const below = i === 0 ? 0 : (counts[i - 1] ?? 0);
  const within = (counts[i] ?? 0) - below;
  return within === 0 ? upper : lower + ((upper - lower) * (rank - below)) / within;
}
