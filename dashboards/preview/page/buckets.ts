import type { TargetAnswer } from '../preview.ts';

/** Smaller values are rounding errors. */
export const LEAST = 1e-9;

interface Bucket {
  /** Upper bound of the bucket. */
  readonly le: number;
  /** Times, and the count in this bucket alone. */
  readonly cells: readonly (readonly [number, number])[];
}

/** Converts cumulative series to ordered buckets with their own counts. */
export function bucketsOf(answers: readonly TargetAnswer[]): Bucket[] {
  const rows = answers
    .flatMap(({ series }) => series)
    .map(({ metric, values = [] }) => ({ le: Number(metric['le']?.replace('+Inf', 'Infinity')), values }))
    .sort((a, b) => a.le - b.le);
  return rows.map(({ le, values }, i) => {
    const below = new Map(rows[i - 1]?.values);
    const cells = values.map(([at, value]): [number, number] => {
      const more = Number(value) - Number(below.get(at) ?? 0);
      return [at, more < LEAST ? 0 : more];
    });
    return { le, cells };
  });
}
