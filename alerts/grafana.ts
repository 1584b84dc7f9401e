import { type AlertName, type AlertRule, alertRules } from './alerting.ts';
import { secondsOf } from './durations.ts';
import { runbookOf } from './rule-files.ts';

/** Uid of the data source that deploy/grafana provisions. */
const PROMETHEUS = 'prometheus';
/** Grafana evaluates its own rules once a minute, because each rule is a query over HTTP. */
const INTERVAL = '1m';

/**
 * The alerts as Grafana-managed rules, without Prometheus alerting rules; the recording rules are still
 * needed. The format is that of file provisioning:
 * grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources.
 */
export function grafanaFile(): object {
  const rules = (Object.keys(alertRules) as AlertName[]).map((name) => ruleOf(name, alertRules[name]));
  return {
    apiVersion: 1,
    groups: [{ orgId: 1, name: 'kvm-telemetry', folder: 'KVM', interval: INTERVAL, rules }],
  };
}

function ruleOf(name: string, rule: AlertRule): object {
  const { expr, severity, scope, summary, description } = rule;
  const inGrafana = (text: string): string => text.replaceAll('$value', '$values.A.Value');
  return {
    uid: name,
    title: name,
    condition: 'B',
    data: [
      {
        refId: 'A',
        relativeTimeRange: { from: secondsOf('10m'), to: 0 },
        datasourceUid: PROMETHEUS,
        model: { refId: 'A', expr, instant: true, range: false },
      },
      // Always true: the query returns only violations, and their value can be 0.
      {
        refId: 'B',
        relativeTimeRange: { from: secondsOf('10m'), to: 0 },
        datasourceUid: '__expr__',
        model: { refId: 'B', type: 'math', expression: 'is_number($A)' },
      },
    ],
    // No data means no violation.
    noDataState: 'OK',
    execErrState: 'Error',
    for: rule.for,
    keepFiringFor: rule.keepFiringFor,
    // If one of several VMs recovers, its series is missing, and Grafana does not apply keepFiringFor to
    // missing series.
    missing_series_evals_to_resolve: Math.max(1, secondsOf(rule.keepFiringFor) / secondsOf(INTERVAL)),
    labels: { severity, scope },
    annotations: {
      summary: inGrafana(summary),
      description: inGrafana(description),
      runbook_url: runbookOf(name),
    },
  };
}
