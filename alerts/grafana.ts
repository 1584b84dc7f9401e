import { type AlertName, type AlertRule, alertRules } from './alerting.ts';
import { secondsOf } from './durations.ts';
import { runbookOf } from './rule-files.ts';

/** Of the data source that deploy/grafana provisions. */
const PROMETHEUS = 'prometheus';
/** Grafana's own rules are evaluated once a minute: it runs each as a query over HTTP. */
const INTERVAL = '1m';

/**
 * The alerts as Grafana runs them by itself, without Prometheus' rules for alerts; the recording rules it needs as well.
 * As its file provisioning has it: grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources.
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
      // True for whatever the query returns: it returns nothing but what is wrong, and 0 may be.
      {
        refId: 'B',
        relativeTimeRange: { from: secondsOf('10m'), to: 0 },
        datasourceUid: '__expr__',
        model: { refId: 'B', type: 'math', expression: 'is_number($A)' },
      },
    ],
    // Nothing is wrong.
    noDataState: 'OK',
    execErrState: 'Error',
    for: rule.for,
    keepFiringFor: rule.keepFiringFor,
    // One of several VMs that is well again is a series that is missing, to which keepFiringFor is not applied.
    missing_series_evals_to_resolve: Math.max(1, secondsOf(rule.keepFiringFor) / secondsOf(INTERVAL)),
    labels: { severity, scope },
    annotations: {
      summary: inGrafana(summary),
      description: inGrafana(description),
      runbook_url: runbookOf(name),
    },
  };
}
