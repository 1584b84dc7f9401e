import { primary, type RangeVector, type Vector } from './expression.ts';
import { escapeString } from './matchers.ts';

type OverTime = <L extends string>(of: RangeVector<L>) => Vector<L>;

const overTime =
  (name: string): OverTime =>
  ({ range }) =>
    primary(`${name}(${range})`);

export const minOverTime = overTime('min_over_time');
export const maxOverTime = overTime('max_over_time');
export const avgOverTime = overTime('avg_over_time');
export const sumOverTime = overTime('sum_over_time');
export const countOverTime = overTime('count_over_time');
export const lastOverTime = overTime('last_over_time');

export function quantileOverTime<L extends string>(quantile: number, { range }: RangeVector<L>): Vector<L> {
  return primary(`quantile_over_time(${quantile}, ${range})`);
}

/** A quantile of a histogram. Sum its buckets by `le` and by the labels to keep. */
export function histogramQuantile<L extends string>(
  quantile: number,
  { promql }: Vector<L | 'le'>,
): Vector<Exclude<L, 'le'>> {
  return primary(`histogram_quantile(${quantile}, ${promql})`);
}

export function clampMin<L extends string>({ promql }: Vector<L>, min: number): Vector<L> {
  return primary(`clamp_min(${promql}, ${min})`);
}

export function clampMax<L extends string>({ promql }: Vector<L>, max: number): Vector<L> {
  return primary(`clamp_max(${promql}, ${max})`);
}

/** Sets the label `to` to `replacement`, which may contain groups of `regex` matched against the label `from`. */
export function labelReplace<L extends string, N extends string>(
  { promql }: Vector<L>,
  to: N,
  replacement: string,
  from: L | '',
  regex: string,
): Vector<L | N> {
  const quoted = [to, replacement, from, regex].map((text) => `"${escapeString(text)}"`);
  return primary(`label_replace(${promql}, ${quoted.join(', ')})`);
}

export function sort<L extends string>({ promql }: Vector<L>): Vector<L> {
  return primary(`sort(${promql})`);
}

export function sortDesc<L extends string>({ promql }: Vector<L>): Vector<L> {
  return primary(`sort_desc(${promql})`);
}

/** Time of each sample, in seconds since the epoch. */
export function timestamp<L extends string>({ promql }: Vector<L>): Vector<L> {
  return primary(`timestamp(${promql})`);
}

/** A number as a series without labels. */
export function vector(value: number): Vector<never> {
  return primary(`vector(${value})`);
}
