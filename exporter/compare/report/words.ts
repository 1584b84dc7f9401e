import type { Assessment, Change, Comparing, Interval } from '../statistics/assessment.ts';
import { gainText, percent } from './numbers.ts';

type Metric = Assessment['metrics'][number];

/** Metrics that describe a configuration best, in this order: each stands for others beside it. */
const HEADLINES = ['iops', 'latency_mean', 'exits_per_io', 'cpu_per_1000_ios', 'cpu', 'latency_p99'];
/** In the verdict. */
const MOST = 4;

/** The metrics of which the report speaks first: those that were measured, for one I/O first if the work differed. */
export function headlines({ metrics, configurations }: Assessment, most = MOST): Metric[] {
  const isMeasured = ({ id }: Metric): boolean =>
    configurations.some(({ estimates }) => estimates.get(id)?.value !== undefined);
  const measured = metrics.filter(isMeasured);
  const chosen = measured.filter(({ id }) => HEADLINES.includes(id));
  const isSameWork = configurations.every(
    ({ againstFirst }) => (againstFirst?.differences.length ?? 0) === 0,
  );
  const rank = ({ id, isPerIo }: Metric): number =>
    HEADLINES.indexOf(id) + (isSameWork || isPerIo ? 0 : HEADLINES.length);
  const sorted = chosen.sort((a, b) => rank(a) - rank(b));
  return [...sorted, ...measured.filter((metric) => !chosen.includes(metric))].slice(0, most);
}

/** `better by 12.3% (10.1% to 14.6%)`, `no significant change`, `cannot say: only 12 samples, ...`. */
export function changeText({ verdict, gain, interval, from, why }: Change): string {
  if (verdict === 'unknown') return `cannot say: ${why ?? 'unknown'}`;
  if (verdict === 'same') return 'no significant change';
  if (gain === undefined) return `${verdict}: it was ${from}`;
  const isLess = gain < 0;
  if (verdict === 'changed') return `changed by ${gainText(gain)}${rangeText(interval)}`;
  const amount = Math.abs(gain) >= 9.5 ? `${gainText(gain)}` : percent(Math.abs(gain), isLess);
  return `${verdict} by ${amount}${interval === undefined ? '' : ` (${amounts(interval, isLess)})`}`;
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

/** What is to be said of a configuration against the first. Names are those of the tenant: escape them. */
export interface VerdictText {
  readonly name: string;
  readonly base: string;
  /** `I/Os per second better by 42% (40% to 44%); ...`. */
  readonly text: string;
}

/** The verdict in words, one entry for each configuration after the first. */
export function verdicts(assessment: Assessment): VerdictText[] {
  const shown = headlines(assessment);
  return assessment.configurations.flatMap(({ name, againstFirst }) =>
    againstFirst === undefined ? [] : { name, base: againstFirst.base, text: verdictOn(againstFirst, shown) },
  );
}

function verdictOn({ changes, differences }: Comparing, shown: readonly Metric[]): string {
  const texts = shown.flatMap(({ id, title }) => {
    const change = changes.get(id);
    if (change === undefined) return [];
    return `${lowerFirst(title)} ${change.isComparable ? '' : '(of other work) '}${changeText(change)}`;
  });
  const counts = countsOf([...changes.values()]);
  const work = differences.length === 0 ? '' : ' The work was not the same, see below.';
  return `${texts.join('; ')}. Of ${changes.size} metrics ${counts}.${work}`;
}

function countsOf(changes: readonly Change[]): string {
  const count = (verdict: Change['verdict']): number =>
    changes.filter((change) => change.verdict === verdict).length;
  const parts = [
    [count('better'), 'better'],
    [count('worse'), 'worse'],
    [count('changed'), 'otherwise changed'],
    [count('same'), 'without a significant change'],
    [count('unknown'), 'unknown'],
  ] as const;
  const texts = parts.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`);
  const are = texts.length === 0 ? 'none' : texts.join(', ');
  return `are ${are}`;
}

/** `I/Os` stays as it is. */
function lowerFirst(title: string): string {
  return /^[A-Z][a-z]/.test(title) ? `${title.charAt(0).toLowerCase()}${title.slice(1)}` : title;
}
