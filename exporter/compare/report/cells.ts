import type {
  AssessedConfiguration,
  Assessment,
  Change,
  Comparing,
  Verdict,
} from '../statistics/assessment.ts';
import { gainText, valueText } from './numbers.ts';
import { rangeText } from './words.ts';

export type Metric = Assessment['metrics'][number];

/** A gain as a cell of the table. */
export interface GainCell {
  /** `+12.3% (+10.1% to +14.6%)`. */
  readonly text: string;
  readonly verdict: Verdict;
  /** `better`, `no change`; with `*` if the work differed. */
  readonly word: string;
}

const WORDS: Readonly<Record<Verdict, string>> = {
  better: 'better',
  worse: 'worse',
  changed: 'changed',
  same: 'no change',
  unknown: 'cannot say',
};

/** The sign of a metric that the difference of the work makes incomparable. */
export const INCOMPARABLE = '*';

export function valueCell({ estimates }: AssessedConfiguration, { id, unit }: Metric): string {
  return valueText(estimates.get(id)?.value, unit);
}

/** undefined for the first configuration. */
export function gainCell(comparing: Comparing | undefined, { id }: Metric): GainCell | undefined {
  const change = comparing?.changes.get(id);
  if (change === undefined) return undefined;
  const mark = change.isComparable ? '' : INCOMPARABLE;
  return { text: textOf(change), verdict: change.verdict, word: `${WORDS[change.verdict]}${mark}` };
}

function textOf({ gain, interval, from, to }: Change): string {
  if (gain !== undefined) return `${gainText(gain)}${rangeText(interval)}`;
  return from === 0 && to !== undefined && to > 0 ? 'from 0' : '';
}

/** Metrics that have a value in some configuration. */
export function measuredMetrics({ metrics, configurations }: Assessment): Metric[] {
  return metrics.filter(({ id }) =>
    configurations.some(({ estimates }) => estimates.get(id)?.value !== undefined),
  );
}

/** In groups of at most `size`. */
export function groups<T>(all: readonly T[], size: number): T[][] {
  const step = Math.max(1, size);
  return Array.from({ length: Math.ceil(all.length / step) }, (_, i) => all.slice(i * step, (i + 1) * step));
}
