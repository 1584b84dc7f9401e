import { secondsOf } from '../../alerts/durations.ts';
import { evaluateOver, queryRange, type RangeSeries, type Times } from './prometheus.ts';
import type { HistoryRule } from './rules.ts';

/** One alert, from the first time that its expression holds to its end. */
export interface AlertEpisode {
  readonly alert: string;
  /** Labels of the series and of the rule. */
  readonly labels: Readonly<Record<string, string>>;
  readonly pendingAt: number;
  /** undefined if the expression did not hold for long enough. */
  readonly firingAt: number | undefined;
  /** End of the alert, firing or not; undefined if the history ends before. */
  readonly resolvedAt: number | undefined;
}

/**
 * Evaluates alerting rules over a history: their expressions over time, with `for` and `keep_firing_for` as
 * Prometheus applies them. While Prometheus was away (no `up` series) nothing is evaluated and active alerts
 * stay active, as Prometheus restores them after a restart.
 */
export async function alertsOver(
  url: string,
  rules: readonly HistoryRule[],
  times: Times,
): Promise<AlertEpisode[]> {
  const [up] = await queryRange(url, 'group(up)', times);
  const evaluations = up?.values.map(([at]) => at) ?? everyTime(times);
  const episodes: AlertEpisode[] = [];
  for (const rule of rules) {
    if (rule.alert === undefined) continue;
    const series = await evaluateOver(url, rule.expr, times);
    episodes.push(...series.flatMap((each) => episodesOf(rule, each, evaluations)));
  }
  return episodes.sort((a, b) => a.pendingAt - b.pendingAt);
}

function everyTime({ from, to, step }: Times): number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);
}

/**
 * Episodes of one series of an alert's expression.
 * @param evaluations Unix times in seconds, ascending
 * @see https://github.com/prometheus/prometheus/blob/v2.42.0/rules/alerting.go AlertingRule.Eval
 */
export function episodesOf(
  rule: HistoryRule,
  { metric, values }: RangeSeries,
  evaluations: readonly number[],
): AlertEpisode[] {
  const hold = secondsOf(rule.for ?? '0s');
  const keep = secondsOf(rule.keep_firing_for ?? '0s');
  const holds = new Set(values.map(([at]) => at));
  const found = { alert: rule.alert ?? '', labels: { ...metric, ...rule.labels } };
  const episodes: AlertEpisode[] = [];
  let pendingAt: number | undefined;
  let firingAt: number | undefined;
  let keptSince: number | undefined;
  for (const at of evaluations) {
    if (holds.has(at)) {
      pendingAt ??= at;
      keptSince = undefined;
      if (at - pendingAt >= hold) firingAt ??= at;
    } else if (pendingAt !== undefined) {
      keptSince ??= at;
      if (firingAt !== undefined && at - keptSince < keep) continue;
      episodes.push({ ...found, pendingAt, firingAt, resolvedAt: at });
      pendingAt = firingAt = keptSince = undefined;
    }
  }
  if (pendingAt !== undefined) episodes.push({ ...found, pendingAt, firingAt, resolvedAt: undefined });
  return episodes;
}

/** The series `ALERTS` and `ALERTS_FOR_STATE` that Prometheus records: the state, and since when it is active. */
export function alertSeries(episodes: readonly AlertEpisode[], times: Times): RangeSeries[] {
  const all = everyTime(times);
  return episodes.flatMap(({ alert, labels, pendingAt, firingAt, resolvedAt }): RangeSeries[] => {
    const during = (alertstate: string, from: number, to: number): RangeSeries => ({
      metric: { ...labels, __name__: 'ALERTS', alertname: alert, alertstate },
      values: all.filter((at) => at >= from && at < to).map((at) => [at, '1']),
    });
    const end = resolvedAt ?? Number.POSITIVE_INFINITY;
    const activeSince: RangeSeries = {
      metric: { ...labels, __name__: 'ALERTS_FOR_STATE', alertname: alert },
      values: all.filter((at) => at >= pendingAt && at < end).map((at) => [at, String(pendingAt)]),
    };
    return [
      during('pending', pendingAt, firingAt ?? end),
      ...(firingAt === undefined ? [] : [during('firing', firingAt, end)]),
      activeSince,
    ];
  });
}
