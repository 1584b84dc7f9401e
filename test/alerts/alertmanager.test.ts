import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { type AlertName, alertRules } from '../../alerts/alerting.ts';
import { hasTool } from '../../testing/tools.ts';

const FILE = fileURLToPath(new URL('../../../deploy/alertmanager/alertmanager.yml', import.meta.url));
const GRAFANA = new URL('../../../deploy/grafana/provisioning/alerting/kvm-telemetry.yaml', import.meta.url);
const names = Object.keys(alertRules) as AlertName[];

interface Inhibition {
  readonly source_matchers: readonly string[];
  readonly target_matchers: readonly string[];
  readonly equal: readonly string[];
}

function amtool(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('amtool', args, { encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
  return stdout.trim();
}

test('amtool accepts the example and routes each alert by severity', (t) => {
  if (!hasTool(t, 'amtool', 'prometheus-alertmanager')) return;
  assert.match(amtool('check-config', FILE), /6 inhibit rules/);
  const receivers = { critical: 'pager', warning: 'chat', info: 'tickets' };
  for (const severity of ['critical', 'warning', 'info'] as const)
    for (const scope of ['vm', 'host'] as const) {
      const labels = [`severity=${severity}`, `scope=${scope}`, 'instance=kvm1:9954'];
      assert.equal(
        amtool('config', 'routes', 'test', `--config.file=${FILE}`, ...labels),
        receivers[severity],
      );
    }
});

test('alerts are grouped by host and VM, and all alerts in inhibit rules exist', () => {
  const { route, inhibit_rules: rules } = parse(readFileSync(FILE, 'utf8')) as {
    route: { group_by: string[] };
    inhibit_rules: Inhibition[];
  };
  assert.deepEqual(route.group_by, ['cluster', 'job', 'instance', 'vm']);
  assert.deepEqual(rules[0]?.target_matchers, ['scope = vm']);
  for (const { source_matchers: source, target_matchers: target, equal } of rules.slice(1)) {
    assert.deepEqual(equal, ['cluster', 'job', 'instance', 'vm']);
    const alerts = [...source, ...target].flatMap((matcher) => matcher.match(/Kvm\w+/g) ?? []);
    assert(alerts.length > 1);
    for (const alert of alerts) assert(names.includes(alert as AlertName), alert);
  }
});

interface GrafanaRule {
  readonly uid: string;
  readonly title: string;
  readonly condition: string;
  readonly for: string;
  readonly keepFiringFor: string;
  readonly missing_series_evals_to_resolve: number;
  readonly data: readonly { refId: string; model: { expr?: string; expression?: string } }[];
  readonly annotations: Readonly<Record<string, string>>;
}

test('Grafana has the same alerts', () => {
  const { groups } = parse(readFileSync(GRAFANA, 'utf8')) as { groups: { rules: GrafanaRule[] }[] };
  const rules = groups.flatMap((group) => group.rules);
  assert.deepEqual(
    rules.map(({ title }) => title),
    names,
  );
  for (const rule of rules) {
    const name = rule.title as AlertName;
    const { expr, for: pending, keepFiringFor } = alertRules[name];
    assert(rule.uid.length <= 40, `${name}: Grafana takes 40 characters at most`);
    assert.equal(rule.data[0]?.model.expr, expr);
    assert.equal(rule.data.find(({ refId }) => refId === rule.condition)?.model.expression, 'is_number($A)');
    assert.deepEqual([rule.for, rule.keepFiringFor], [pending, keepFiringFor]);
    assert(Number.isInteger(rule.missing_series_evals_to_resolve), name);
    const texts = Object.values(rule.annotations).join('\n');
    assert.doesNotMatch(texts, /\$value\b/, `${name}: in Grafana that is a text`);
    assert.doesNotMatch(texts, /\$\{/, `${name}: Grafana would put an environment variable there`);
  }
});
