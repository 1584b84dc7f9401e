import type { ComparedMetric } from './model.ts';

export type MetricText = readonly [
  id: string,
  title: string,
  unit: ComparedMetric['unit'],
  better: ComparedMetric['better'],
];

export interface RatioOptions {
  readonly factor?: number;
  readonly isPerIo?: boolean;
}

/** A metric that is the ratio of two sums. */
export function ratioOf(
  [id, title, unit, better]: MetricText,
  { factor = 1, isPerIo = false }: RatioOptions,
): ComparedMetric {
  const quotient = ([a = Number.NaN, b = Number.NaN]: readonly number[]): number =>
    b > 0 ? (factor * a) / b : Number.NaN;
  return { id, title, unit, better, isPerIo, valueOf: quotient };
}
