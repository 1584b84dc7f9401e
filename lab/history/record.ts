import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AlertEpisode, alertSeries, alertsOver } from './alerts.ts';
import { createBlocks } from './blocks.ts';
import { evaluateOver, type RangeSeries, serveBlocks, type Times } from './prometheus.ts';
import { type HistoryRule, passesOf } from './rules.ts';

/**
 * Adds the series that rules would have recorded, and `ALERTS`, to a history. `promtool tsdb
 * create-blocks-from rules` supports neither alerts nor rules that use other recorded series, and makes a
 * block per rule: docs/simulated-host.md.
 * @param data a folder of blocks
 * @param times of the history: each sample is valid for one step
 * @returns the alerts, ordered by start
 */
export async function recordRules(
  data: string,
  rules: readonly HistoryRule[],
  times: Times,
): Promise<AlertEpisode[]> {
  for (const pass of passesOf(rules)) {
    await onBlocks(data, times, async (url) => {
      const recorded: RangeSeries[] = [];
      for (const { record = '', expr, labels } of pass) {
        for (const { metric, values } of await evaluateOver(url, expr, times))
          recorded.push({ metric: { ...metric, ...labels, __name__: record }, values });
      }
      return recorded;
    });
  }
  let alerts: AlertEpisode[] = [];
  if (!rules.some(({ alert }) => alert !== undefined)) return alerts;
  await onBlocks(data, times, async (url) => {
    alerts = await alertsOver(url, rules, times);
    return alertSeries(alerts, times);
  });
  return alerts;
}

async function onBlocks(
  data: string,
  { step }: Times,
  ask: (url: string) => Promise<readonly RangeSeries[]>,
): Promise<void> {
  const prometheus = await serveBlocks(data, step);
  const series = await ask(prometheus.url).finally(() => prometheus.stop());
  const folder = mkdtempSync(join(data, '..', 'recorded-'));
  try {
    const file = join(folder, 'recorded.om');
    writeFileSync(file, openMetrics(series));
    await createBlocks(file, data);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Series of the same name are adjacent, as OpenMetrics requires. Their type is unknown. */
function openMetrics(series: readonly RangeSeries[]): string {
  const byName = new Map<string, string[]>();
  for (const { metric, values } of series) {
    const { __name__: name = '', ...labels } = metric;
    const inner = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
    const head = [name, '{', inner.join(','), '} '].join('');
    const lines = byName.get(name) ?? [];
    byName.set(name, lines);
    for (const [at, value] of values) lines.push(`${head}${value} ${at}\n`);
  }
  return `${[...byName.values()].flat().join('')}# EOF\n`;
}
