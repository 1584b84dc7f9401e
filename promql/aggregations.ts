import { primary, type Vector } from './expression.ts';

type Aggregation = <L extends string, const B extends readonly L[]>(
  of: Vector<L>,
  by: B,
) => Vector<B[number]>;

const aggregation =
  (name: string): Aggregation =>
  ({ promql }, by) =>
    primary(by.length === 0 ? `${name}(${promql})` : `${name} by (${by.join(', ')}) (${promql})`);

export const sum = aggregation('sum');
export const min = aggregation('min');
export const max = aggregation('max');
export const avg = aggregation('avg');
export const count = aggregation('count');

/** The k largest series, with all their labels. */
export function topk<L extends string>(k: number, { promql }: Vector<L>): Vector<L> {
  return primary(`topk(${k}, ${promql})`);
}

/** The k largest series of each combination of these labels, with all their labels. */
export function topkBy<L extends string>(k: number, { promql }: Vector<L>, by: readonly L[]): Vector<L> {
  return primary(`topk by (${by.join(', ')}) (${k}, ${promql})`);
}

/** Number of series per value. The value becomes a label. */
export function countValues<L extends string, N extends string, const B extends readonly L[]>(
  label: N,
  { promql }: Vector<L>,
  by: B,
): Vector<B[number] | N> {
  return primary(`count_values by (${by.join(', ')}) ("${label}", ${promql})`);
}
