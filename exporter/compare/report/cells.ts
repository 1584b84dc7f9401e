import type { AssessedConfiguration, Change, Comparing, Verdict } from '../statistics/assessment.ts';
import type { Metric } from './main-metrics.ts';
import { gainText, valueText } from './numbers.ts';
import { INCOMPARABLE, rangeText } from './words.ts';

/** A gain as a cell of the table. */
export interface GainCell {
  /** `+12.3%`; empty if it is unknown. */
  readonly amount: string;
  /** `(+10.1% to +14.6%)`; empty if it is unknown. */
  readonly range: string;
  readonly verdict: Verdict;
  /** `better`, `no change`; with `*` if the work differed. */
  readonly word: string;
  /** The reason for "cannot say". */
  readonly why: string | undefined;
}

const WORDS: Readonly<Record<Verdict, string>> = {
  better: 'better',
  worse: 'worse',
  changed: 'changed',
  same: 'no change',
  unknown: 'cannot say',
};

export function valueCell({ estimates }: AssessedConfiguration, { id, unit }: Metric): string {
  return valueText(estimates.get(id)?.value, unit);
}

/** undefined for the first configuration. */
export function gainCell(comparing: Comparing | undefined, { id }: Metric): GainCell | undefined {
  const change = comparing?.changes.get(id);
  if (change === undefined) return undefined;
  const mark = change.isComparable ? '' : INCOMPARABLE;
  const { verdict, interval, why } = change;
  return {
    amount: amountOf(change),
    range: rangeText(interval).trim(),
    verdict,
    word: `${WORDS[verdict]}${mark}`,
    why,
  };
}

/** `+12.3% (+10.1% to +14.6%) better`. */
export function lineOf({ amount, range, word }: GainCell): string {
  return [amount, range, word].filter((part) => part !== '').join(' ');
}

function amountOf({ gain, from, to }: Change): string {
  if (gain !== undefined) return gainText(gain);
  return from === 0 && to !== undefined && to > 0 ? 'from 0' : '';
}

/** In groups of at most `size`. */
export function groups<T>(all: readonly T[], size: number): T[][] {
  const step = Math.max(1, size);
  return Array.from({ length: Math.ceil(all.length / step) }, (_, i) => all.slice(i * step, (i + 1) * step));
}
