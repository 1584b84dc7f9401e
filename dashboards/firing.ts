import { VM } from '../alerts/recording.ts';
import { and, equal, gauge, type Matchers, max, mul, on, type SeriesLabels, topk } from '../promql/promql.ts';
import { toHost, toVm } from './links.ts';
import { named, type Panel } from './panels/panel.ts';
import { Table } from './panels/table.ts';
import { rows } from './queries.ts';

/** Labels that distinguish the alerts of a rule. */
const OF_ALERT = [
  'alertname',
  ...VM,
  'technique',
  'disk',
  'device',
  'role',
  'collector',
  'task',
  'set',
] as const;

/** Rows of a list of alerts, for any number of hosts. */
const MOST_ALERTS = 10;

/** Alerts of the data source that fire at the end of the range, the newest first. */
export function firingAlerts(
  of: Matchers<SeriesLabels<'ALERTS'>>,
  { hasVm = true }: { readonly hasVm?: boolean } = {},
): Panel {
  const firing = gauge('ALERTS', { ...of, alertstate: equal('firing') });
  const since = and(gauge<'ALERTS_FOR_STATE'>('ALERTS_FOR_STATE', of), on(...OF_ALERT), firing);
  return new Table({
    title: 'Firing alerts',
    description: `Alerts that fire at the end of the time range: the newest ${MOST_ALERTS}. The link of an alert has its runbook; docs/alerts.md has all.`,
    width: 24,
    height: 6,
    queries: [rows(topk(MOST_ALERTS, mul(max(since, [...VM, 'alertname', 'severity']), 1000)))],
    columns: [
      { from: 'alertname', title: 'Alert' },
      {
        from: 'severity',
        title: 'Severity',
        more: {
          mappings: [
            named({
              critical: ['critical', 'red'],
              warning: ['warning', 'orange'],
              info: ['info', 'blue'],
            }),
          ],
        },
      },
      ...(hasVm ? [{ from: 'vm', title: 'VM', links: [toVm] }] : []),
      { from: 'instance', title: 'Host', links: [toHost] },
      { from: 'Value', title: 'Active since', unit: 'dateTimeFromNow' as const },
    ],
    sortBy: 'Active since',
    emptyIsGood: 'No alert fires',
  });
}
