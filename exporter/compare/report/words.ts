import type { Assessment, Change, Comparing, Interval } from '../statistics/assessment.ts';
import { type Metric, mainMetrics, measuredMetrics } from './main-metrics.ts';
import { gainText, percent, valueText } from './numbers.ts';

/** Marks a metric that is incomparable because the work differs. */
export const INCOMPARABLE = '*';

/** `12.3% (10.1% to 14.6%)`, of a change that is better or worse; `+12.3% (...)` of one that is neither. */
function amountText({ verdict, gain = 0, interval }: Change): string {
  if (verdict === 'changed') return `${gainText(gain)}${rangeText(interval)}`;
  const isLess = gain < 0;
  const amount = gain >= 9.5 ? gainText(gain) : percent(Math.abs(gain), isLess);
  return `${amount}${interval === undefined ? '' : ` (${amounts(interval, isLess)})`}`;
}

/** ` (+10.1% to +14.6%)`; empty if there is no interval. */
export function rangeText(interval: Interval | undefined): string {
  return interval === undefined ? '' : ` (${gainText(interval[0])} to ${gainText(interval[1])})`;
}

function amounts([low, high]: Interval, isLess: boolean): string {
  const [least, most] = isLess ? [-high, -low] : [low, high];
  // An interval of a significant change may reach over 0, because of the correction for the number of metrics.
  if (least < 0 || most >= 9.5) return `${gainText(low)} to ${gainText(high)}`;
  return `${percent(least, isLess)} to ${percent(most, isLess)}`;
}

/** The verdict on a configuration against the first. Tenants choose the names: escape them. */
export interface VerdictText {
  readonly name: string;
  readonly base: string;
  /** `better: I/Os per second by 42% (40% to 44%); no significant change: exits per I/O. Of 33 metrics ...`. */
  readonly text: string;
}

/** The verdict in words, one entry for each configuration after the first. */
export function verdicts(assessment: Assessment): VerdictText[] {
  const shown = mainMetrics(assessment);
  const measured = measuredMetrics(assessment);
  return assessment.configurations.flatMap(({ name, againstFirst }) =>
    againstFirst === undefined
      ? []
      : { name, base: againstFirst.base, text: verdictOn(againstFirst, shown, measured) },
  );
}

/** The first words of a verdict's changes, in this order. */
const BEGINNINGS: readonly (readonly [Change['verdict'], string])[] = [
  ['better', 'better:'],
  ['worse', 'worse:'],
  ['changed', 'changed:'],
  ['same', 'no significant change:'],
  ['unknown', 'cannot say:'],
];

function verdictOn(
  { changes, differences }: Comparing,
  shown: readonly Metric[],
  measured: readonly Metric[],
): string {
  const texts = BEGINNINGS.flatMap(([verdict, beginning]) => {
    const those = shown.flatMap(({ id, title, unit }) => {
      const change = changes.get(id);
      return change?.verdict === verdict ? `${lowerFirst(title)}${detailOf(change, unit)}` : [];
    });
    return those.length === 0 ? [] : `${beginning} ${those.join(', ')}`;
  });
  const work = differences.length === 0 ? '' : ' The work was not the same, see below.';
  return `${texts.join('; ')}. ${countsOf(measured.flatMap(({ id }) => changes.get(id) ?? []))}${work}`;
}

function detailOf(change: Change, unit: Metric['unit']): string {
  const mark = change.isComparable ? '' : INCOMPARABLE;
  if (change.verdict === 'same') return mark;
  if (change.verdict === 'unknown') return ` (${change.why})`;
  if (change.gain === undefined)
    return `${mark} (from ${valueText(change.from, unit)} to ${valueText(change.to, unit)})`;
  return `${mark} by ${amountText(change)}`;
}

/** `Of 33 metrics 10 are better, 2 worse, 21 without a significant change.` */
function countsOf(changes: readonly Change[]): string {
  const count = (verdict: Change['verdict']): number =>
    changes.filter((change) => change.verdict === verdict).length;
  const parts = [
    [count('better'), 'better'],
    [count('worse'), 'worse'],
    [count('changed'), 'different'],
    [count('same'), 'without a significant change'],
    [count('unknown'), 'unknown'],
  ] as const;
  const texts = parts.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`);
  return `Of ${changes.length} metrics ${texts.join(', ').replace(' ', ' are ')}.`;
}

/** `I/Os` stays as it is. */
function lowerFirst(title: string): string {
  return /^[A-Z][a-z]/.test(title) ? `${title.charAt(0).toLowerCase()}${title.slice(1)}` : title;
}
