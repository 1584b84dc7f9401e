import { type AlertName, type AlertRule, alertRules } from './alerting.ts';
import { secondsOf } from './durations.ts';
import { recordingGroups } from './recording.ts';
import { baseline } from './thresholds.ts';

/** Where users find the runbooks of this version. */
const RUNBOOKS = 'https://github.com/kvm-telemetry/kvm-telemetry/blob/main/alerts/runbooks';

/**
 * A rule in the format of Prometheus' rule files
 * (prometheus.io/docs/prometheus/latest/configuration/recording_rules).
 */
interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly for?: string;
  readonly keep_firing_for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface RuleGroup {
  readonly name: string;
  readonly interval?: string;
  readonly rules: readonly Rule[];
}

export interface RuleFile {
  readonly groups: readonly RuleGroup[];
}

/** The baseline group is evaluated once per step of its window. */
const INTERVALS: Readonly<Record<string, string>> = { 'kvm-telemetry-baseline': baseline.resolution };

/** Link to the runbook of an alert. */
export function runbookOf(alert: string): string {
  return `${RUNBOOKS}/${alert}.md`;
}

export function recordingFile(): RuleFile {
  return {
    groups: Object.entries(recordingGroups).map(([name, rules]) => ({
      name,
      ...(INTERVALS[name] === undefined ? {} : { interval: INTERVALS[name] }),
      rules: Object.entries(rules).map(([record, { expr }]) => ({ record, expr: expr.promql })),
    })),
  };
}

export function alertingFile(): RuleFile {
  const rules = (Object.keys(alertRules) as AlertName[]).map((name) => alertOf(name, alertRules[name]));
  return { groups: [{ name: 'kvm-telemetry-alerts', rules }] };
}

function alertOf(name: string, rule: AlertRule): Rule {
  const { expr, severity, scope, summary, description } = rule;
  return {
    alert: name,
    expr,
    for: rule.for,
    keep_firing_for: rule.keepFiringFor,
    labels: { severity, scope },
    annotations: { summary, description, runbook_url: runbookOf(name) },
  };
}

/** The same rules for Prometheus before 2.42 and vmalert before 1.90, which refuse `keep_firing_for`. */
export function withoutKeepFiringFor({ groups }: RuleFile): RuleFile {
  return {
    groups: groups.map((group) => ({
      ...group,
      rules: group.rules.map(({ keep_firing_for: _, ...rule }) => rule),
    })),
  };
}

/**
 * The same rules with all time spans divided by `factor`, for the demo and for tests. Scrapes and evaluations
 * must be `factor` times as frequent.
 */
export function faster({ groups }: RuleFile, factor: number): RuleFile {
  const shorten = (duration: string): string => {
    // A subquery without a resolution.
    if (duration === '') return '';
    const ms = (secondsOf(duration) / factor) * 1000;
    return `${Math.max(1, Math.round(ms))}ms`;
  };
  const inExpression = (expr: string): string =>
    expr.replace(/\[([\dsmhd:]+)\]/g, (_, range: string) => `[${range.split(':').map(shorten).join(':')}]`);
  return {
    groups: groups.map(({ interval, rules, ...group }) => ({
      ...group,
      ...(interval === undefined ? {} : { interval: shorten(interval) }),
      rules: rules.map((rule) => ({
        ...rule,
        expr: inExpression(rule.expr),
        ...(rule.for === undefined ? {} : { for: shorten(rule.for) }),
        ...(rule.keep_firing_for === undefined ? {} : { keep_firing_for: shorten(rule.keep_firing_for) }),
      })),
    })),
  };
}
