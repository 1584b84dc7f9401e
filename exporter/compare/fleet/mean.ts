import { sum } from '../../../kernel/sum.ts';
import { criticalT } from '../statistics/student-t.ts';

/** A mean over independent numbers, and how exact it is. */
export interface Mean {
  readonly mean: number;
  /** Of the mean. */
  readonly variance: number;
  readonly df: number;
}

/** The variance that rounding of doubles may hide, relative to the square of the mean or to 1. */
const ROUNDING = 1e-18;

/** @param values at least one; the variance of one is NaN */
export function meanOf(values: readonly number[]): Mean {
  const n = values.length;
  const mean = sum(values) / n;
  const square = sum(values.map((value) => (value - mean) ** 2));
  return { mean, variance: Math.max(square / (n - 1) / n, ROUNDING * Math.max(1, mean ** 2)), df: n - 1 };
}

/** One mean less another that is independent of it (Welch 1947). */
export function difference(a: Mean, b: Mean): Mean {
  return {
    mean: a.mean - b.mean,
    variance: a.variance + b.variance,
    df: (a.variance + b.variance) ** 2 / (a.variance ** 2 / a.df + b.variance ** 2 / b.df),
  };
}

export function intervalOf({ mean, variance, df }: Mean, confidence: number): readonly [number, number] {
  const width = criticalT(confidence, df) * Math.sqrt(variance);
  return [mean - width, mean + width];
}
