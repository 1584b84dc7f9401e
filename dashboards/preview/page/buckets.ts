import type { TargetAnswer } from '../preview.ts';

/** What is below it is an error of rounding. */
export const LEAST = 1e-9;

interface Bucket {
  /** Its upper bound. */
  readonly le: number;
  /** Times, and what is in it and not below. */
  readonly cells: readonly (readonly [number, number])[];
}

/** Buckets in order, of series that count what is below as well. */
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
