import type { HostChange } from '../statistics/assessment.ts';
import { judged, type Trend, tested } from '../statistics/change.ts';
import { estimate } from '../statistics/estimate.ts';
import { differencesOf } from '../statistics/same-work.ts';
import { observationsOf, valueIn } from './host-values.ts';
import { IN_FLIGHT, IOPS } from './metrics.ts';
import { type FleetComparison, type FleetHost, type HostTime, spanOfWindow } from './model.ts';
import { worked } from './work.ts';

/**
 * The change of each host by itself, from the windows of its own times, less the change over time on the hosts that
 * stayed in one group. Corrected for the number of hosts.
 */
export function changesOfHosts(
  { metrics, windows }: FleetComparison,
  { pairs, trends }: { readonly pairs: readonly FleetHost[]; readonly trends: ReadonlyMap<string, Trend> },
  base: string,
  group: string,
  confidence: number,
): Map<string, HostChange[]> {
  const whole = { start: windows.start, end: spanOfWindow(windows, windows.count - 1).end };
  return new Map(
    metrics.map((metric) => {
      const tests = pairs.flatMap(({ groups }) => {
        const [before, after] = [groups.get(base), groups.get(group)];
        if (before === undefined || after === undefined) return [];
        const of = (time: HostTime) =>
          estimate(
            metric,
            {
              observations: new Map([[metric.id, observationsOf(metric, time, windows)]]),
              spans: [whole],
              warmUp: 0,
            },
            confidence,
          );
        const isComparable = metric.isPerIo || differencesOf(workIn(before), workIn(after)).length === 0;
        return tested(
          { metric, from: of(before), to: of(after), isComparable },
          confidence,
          trends.get(metric.id),
        );
      });
      const changes = judged(tests, confidence);
      return [
        metric.id,
        pairs.flatMap(({ name }, i) => (changes[i] ? [{ host: name, change: changes[i] }] : [])),
      ];
    }),
  );
}

function workIn(time: HostTime): ReturnType<typeof worked> {
  return worked(valueIn(IOPS, time, time.windows), valueIn(IN_FLIGHT, time, time.windows));
}
