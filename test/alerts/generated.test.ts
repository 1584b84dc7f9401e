import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import ts from 'typescript';
import { type AlertName, alertRules } from '../../alerts/alerting.ts';
import { secondsOf } from '../../alerts/durations.ts';
import { grafanaFile } from '../../alerts/grafana.ts';
import { alertingFile, faster, recordingFile } from '../../alerts/rule-files.ts';
import * as thresholds from '../../alerts/thresholds.ts';
import { generatedFiles } from '../../scripts/rules.ts';
import { ROOT } from '../../testing/daemon.ts';

const names = Object.keys(alertRules) as AlertName[];
const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8');

test('each alert has a runbook, and each runbook an alert', () => {
  const runbooks = readdirSync(`${ROOT}alerts/runbooks`);
  assert.deepEqual(runbooks.sort(), names.map((name) => `${name}.md`).sort());
  for (const name of names) {
    const text = read(`alerts/runbooks/${name}.md`);
    assert(text.startsWith(`# ${name}\n`), `${name}: the title is another`);
    assert.match(text, /^\*\*Impact:\*\* \S.*\.$/m, `${name}: no impact line`);
    const [, first = ''] = text.split('\n## First 60 seconds\n\n');
    const commands = first.slice(0, first.indexOf('\n\n'));
    assert(
      commands.split('\n').every((line) => line.startsWith('    ')),
      `${name}: not only commands`,
    );
    if (alertRules[name].scope === 'vm') {
      assert.match(commands, /^ {4}vm=db +# the label vm of the alert\n/, name);
      assert.match(commands, /kvm-telemetry doctor --vm "\$vm"/, name);
    }
    for (const section of [
      'First 60 seconds',
      'What it means',
      'Confirm',
      'What to do',
      'What else it may be',
      'Silence',
    ])
      assert(text.includes(`\n## ${section}\n`), `${name}: no section "${section}"`);
    const doctor = alertRules[name].scope === 'vm' ? 'kvm-telemetry doctor --vm' : 'kvm-telemetry doctor';
    assert(text.includes(doctor), `${name}: no ${doctor}`);
    assert.match(text, new RegExp(`amtool silence add alertname=${name} `), name);
  }
});

test('each alert has severity, scope, summary, description and runbook', () => {
  const rules = alertingFile().groups.flatMap((group) => group.rules);
  assert.deepEqual(
    rules.map(({ alert }) => alert),
    names,
  );
  for (const { alert, labels, annotations, for: pending, keep_firing_for: keep } of rules) {
    assert.match(labels?.['severity'] ?? '', /^(critical|warning|info)$/, alert);
    assert.match(labels?.['scope'] ?? '', /^(vm|host)$/, alert);
    assert.match(pending ?? '', /^\d+m$/, alert);
    assert.match(keep ?? '', /^\d+m$/, alert);
    const { summary = '', description = '', runbook_url: url } = annotations ?? {};
    assert(url?.endsWith(`/alerts/runbooks/${alert}.md`), alert);
    for (const text of [summary, description]) {
      assert.match(text, /\{\{ \$labels\.instance \}\}/, alert);
      if (labels?.['scope'] === 'vm') assert.match(text, /\{\{ \$labels\.vm \}\}/, alert);
    }
    assert.notEqual(summary, description);
  }
});

/** Numbers, and strings that begin with one such as `5m`, of the code without its types. */
function numbersIn(path: string): string[] {
  const source = ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node)) return;
    if (ts.isNumericLiteral(node) || (ts.isStringLiteral(node) && /^\d/.test(node.text)))
      found.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

test('every number of a rule is in thresholds.ts', () => {
  // Allowed constants: 0 and 1; percent.
  const structural = ['0', '1', '100'];
  // The quantile that is the recorded series' name.
  const allowed = { 'alerts/alerting.ts': structural, 'alerts/recording.ts': [...structural, '0.99'] };
  for (const [path, fine] of Object.entries(allowed))
    assert.deepEqual(
      numbersIn(path).filter((number) => !fine.includes(number)),
      [],
      path,
    );
});

test('every threshold is used', () => {
  const source = ['alerting', 'recording', 'rule-files'].map((name) => read(`alerts/${name}.ts`)).join('\n');
  for (const [name, value] of Object.entries(thresholds)) {
    const alias = new RegExp(`\\b${name}: (\\w+)`).exec(source)?.[1] ?? name;
    assert.match(source, new RegExp(`\\b${alias}\\b`), `${name} is in no rule`);
    for (const key of typeof value === 'object' ? Object.keys(value) : []) {
      const isTiming = key === 'for' || key === 'keepFiringFor';
      const used = isTiming
        ? `timing\\(${alias}\\)`
        : `\\b${alias}\\.${key}\\b|\\{[^}]*\\b${key}\\b[^}]*\\} = ${alias}\\b`;
      assert.match(source, new RegExp(used), `${name}.${key} is in no rule`);
    }
  }
});

test('generated files are up to date', () => {
  for (const [path, content] of generatedFiles()) assert.equal(read(path), content, `${path}: npm run rules`);
});

test('rules for a faster clock', () => {
  const all = { groups: [...recordingFile().groups, ...alertingFile().groups] };
  const rule = {
    alert: 'A',
    expr: 'rate(a{b="c"}[2m]) > max_over_time((d)[6h:5m]) and last_over_time((e)[1d:]) > 120',
    for: '10m',
    keep_firing_for: '30s',
  };
  const file = { groups: [{ name: 'g', interval: '5m', rules: [rule] }] };
  assert.deepEqual(faster(file, 60), {
    groups: [
      {
        name: 'g',
        interval: '5000ms',
        rules: [
          {
            alert: 'A',
            expr: 'rate(a{b="c"}[2000ms]) > max_over_time((d)[360000ms:5000ms]) and last_over_time((e)[1440000ms:]) > 120',
            for: '10000ms',
            keep_firing_for: '500ms',
          },
        ],
      },
    ],
  });
  assert.equal(faster(file, 1e9).groups[0]?.rules[0]?.for, '1ms');
  assert.deepEqual(
    Object.keys(faster({ groups: [{ name: 'g', rules: [{ expr: 'a', record: 'b' }] }] }, 2).groups[0] ?? {}),
    ['name', 'rules'],
  );
  // No time span of the original is left.
  assert.doesNotMatch(
    JSON.stringify(faster(all, 12).groups.map(({ rules }) => rules.map(({ expr }) => expr))),
    /\[\d+[smhd][:\]]/,
  );
});

interface GrafanaRule {
  readonly title: string;
  readonly condition: string;
  readonly for: string;
  readonly keepFiringFor: string;
  readonly missing_series_evals_to_resolve: number;
  readonly noDataState: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: readonly { readonly refId: string; readonly model: { readonly expr?: string } }[];
}

test("Grafana's own rules fire on the same data and for as long as Prometheus' rules", () => {
  const { groups } = grafanaFile() as {
    groups: readonly { interval: string; rules: readonly GrafanaRule[] }[];
  };
  assert.deepEqual(
    groups.map(({ interval }) => interval),
    ['1m'],
  );
  const rules = groups.flatMap((group) => group.rules);
  assert.deepEqual(
    rules.map(({ title }) => title),
    names,
  );
  for (const rule of rules) {
    const prometheus = alertRules[rule.title as AlertName];
    const [query, condition] = rule.data;
    assert.equal(query?.model.expr, prometheus.expr, rule.title);
    assert.equal(rule.condition, condition?.refId, rule.title);
    assert.deepEqual([rule.for, rule.keepFiringFor], [prometheus.for, prometheus.keepFiringFor], rule.title);
    assert.deepEqual(rule.labels, { severity: prometheus.severity, scope: prometheus.scope }, rule.title);
    assert.equal(rule.noDataState, 'OK', 'the query returns violations only');
    assert.equal(`${rule.missing_series_evals_to_resolve}m`, prometheus.keepFiringFor, rule.title);
    const texts = Object.values(rule.annotations).join('\n');
    assert.doesNotMatch(texts, /\{\{ \$value /, `${rule.title}: Grafana has no $value that is a number`);
    assert.equal(texts.includes('$values.A.Value'), prometheus.description.includes('$value'), rule.title);
  }
});

test('durations are those of Prometheus', () => {
  const seconds = {
    '250ms': 0.25,
    '30s': 30,
    '5m': 300,
    '1h30m': 5400,
    '2d': 172_800,
    '1w': 604_800,
    '1y': 31_536_000,
  };
  for (const [text, value] of Object.entries(seconds)) assert.equal(secondsOf(text), value, text);
  for (const text of ['', '5', 'm', '5 m', '1h30', 'x5m', '5mx'])
    assert.throws(() => secondsOf(text), /no duration/);
});
