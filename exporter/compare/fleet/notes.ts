import { plainName } from '../names.ts';
import { gainText } from '../report/numbers.ts';
import { rangeText } from '../report/words.ts';
import type { HostChange } from '../statistics/assessment.ts';
import type { FleetMetric } from './metrics.ts';

const MOST = 10;

/** The hosts that are worse than in the base: one sentence for each metric with such hosts. */
export function noteOnHosts(
  changes: ReadonlyMap<string, readonly HostChange[]>,
  metrics: readonly FleetMetric[],
): string[] {
  return metrics.flatMap(({ id, title }) => {
    const all = changes.get(id) ?? [];
    const worse = all.filter(({ change }) => change.verdict === 'worse' && change.isComparable);
    if (worse.length === 0) return [];
    const count = (verdict: HostChange['change']['verdict']): number =>
      all.filter(({ change }) => change.verdict === verdict).length;
    const worst = [...worse].sort((a, b) => Math.abs(b.change.gain ?? 0) - Math.abs(a.change.gain ?? 0));
    const shown = worst.slice(0, MOST).map(({ host, change: { gain = 0, interval } }) => {
      return `${plainName(host)} ${gainText(gain)}${rangeText(interval)}`;
    });
    const more = worst.length > MOST ? ` and ${worst.length - MOST} more` : '';
    return [
      `${title}: ${worse.length} of ${all.length} hosts are worse than before, ${count('better')} better, ${count('unknown')} cannot be said. Most: ${shown.join(', ')}${more}.`,
    ];
  });
}
