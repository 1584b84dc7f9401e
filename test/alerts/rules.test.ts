import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, describe, it, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { type AlertName, alertRules } from '../../alerts/alerting.ts';
import { generatedFiles } from '../../scripts/rules.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { hasTool } from '../../testing/tools.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const names = Object.keys(alertRules) as AlertName[];
const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8');
const yamlsIn = (folder: string): string[] =>
  readdirSync(`${ROOT}${folder}`)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => `${folder}/${name}`);

/** @throws AssertionError with the program's output */
function run(program: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  assert.equal(status, 0, `${program} ${args.slice(0, 3).join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

test('promtool accepts the rules', (t) => {
  if (!hasTool(t, 'promtool', 'prometheus')) return;
  const demo = 'deploy/demo/rules.yaml';
  run('promtool', ['check', 'rules', '--lint-fatal', ...yamlsIn('alerts/generated'), demo]);
  run('promtool', ['check', 'config', 'deploy/prometheus/prometheus.yml']);
});

test('vmalert and old Prometheus have rules without keep_firing_for, otherwise the same', (t) => {
  const generated = generatedFiles();
  const rules = generated.get('alerts/generated/alerting.yaml') ?? '';
  const compatible = generated.get('alerts/generated/without-keep-firing-for/alerting.yaml');
  assert.match(rules, /keep_firing_for/);
  assert.equal(compatible, rules.replaceAll(/^ *keep_firing_for: .*\n/gm, ''));
  if (!hasTool(t, 'vmalert', 'victoria-metrics')) return;
  run('vmalert', [
    '-dryRun',
    '-rule=alerts/generated/recording.yaml',
    '-rule=alerts/generated/without-keep-firing-for/alerting.yaml',
  ]);
});

test('the mixin has all rules and all dashboards', (t) => {
  if (!hasTool(t, 'jsonnet', 'jsonnet')) return;
  const evaluated = (more: string): Record<string, Record<string, unknown>> =>
    JSON.parse(run('jsonnet', ['-e', `(import 'mixin.libsonnet') + ${more}`]));
  const mixin = evaluated('{}');
  const inYaml = (path: string): unknown => parse(generatedFiles().get(path) ?? '');
  assert.deepEqual(mixin['prometheusAlerts'], inYaml('alerts/generated/alerting.yaml'));
  assert.deepEqual(mixin['prometheusRules'], inYaml('alerts/generated/recording.yaml'));
  assert.deepEqual(
    Object.keys(mixin['grafanaDashboards'] ?? {}).sort(),
    readdirSync(`${ROOT}dashboards/generated`).sort(),
  );
  assert.deepEqual(
    evaluated('{ _config+:: { keepFiringFor: false } }')['prometheusAlerts'],
    inYaml('alerts/generated/without-keep-firing-for/alerting.yaml'),
  );
});

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
}
interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}
const RULES = new Map(
  ['recording.yaml', 'alerting.yaml'].map((name) => [
    name,
    parse(read(`alerts/generated/${name}`)) as RuleFile,
  ]),
);

/** The rules that a text names, and those that they use. promtool evaluates every rule that it is given at each step. */
function rulesNamedIn(text: string): ReadonlySet<Rule> {
  const all = [...RULES.values()].flatMap(({ groups }) => groups.flatMap(({ rules }) => rules));
  const found = new Set<Rule>();
  for (const texts = [text]; texts.length > 0; ) {
    const words = new Set(texts.pop()?.match(/[\w:]+/g));
    for (const rule of all)
      if (words.has(rule.record ?? rule.alert ?? '') && !found.has(rule)) {
        found.add(rule);
        texts.push(rule.expr);
      }
  }
  return found;
}

describe('the rules pass', () => {
  const folder = temporaryFolder({ after });
  for (const file of yamlsIn('alerts/tests'))
    it(file, (t) => {
      if (!hasTool(t, 'promtool', 'prometheus')) return;
      const place = join(folder, basename(file));
      const text = read(file);
      const named = rulesNamedIn(text);
      mkdirSync(join(place, 'generated'), { recursive: true });
      mkdirSync(join(place, 'tests'));
      for (const [name, { groups }] of RULES) {
        const fewer = groups.map((group) => ({
          ...group,
          rules: group.rules.filter((rule) => named.has(rule)),
        }));
        writeFileSync(join(place, 'generated', name), stringify({ groups: fewer }));
      }
      writeFileSync(join(place, file.replace('alerts/', '')), text);
      run('promtool', ['test', 'rules', join(place, file.replace('alerts/', ''))]);
    });
});

interface TestFile {
  readonly tests: readonly {
    readonly name: string;
    readonly alert_rule_test?: readonly { readonly alertname: string; readonly exp_alerts: unknown[] }[];
  }[];
}

test('each alert has a test in which it fires and one in which it stays quiet', () => {
  const expected = [...names, 'clusters', 'recording'].map((name) => `${name}.yaml`).sort();
  assert.deepEqual(
    yamlsIn('alerts/tests')
      .map((path) => basename(path))
      .sort(),
    expected,
  );
  for (const name of names) {
    const { tests } = parse(read(`alerts/tests/${name}.yaml`)) as TestFile;
    const expectations = tests.map(({ alert_rule_test: all = [] }) =>
      all.filter(({ alertname }) => alertname === name).map(({ exp_alerts: alerts }) => alerts.length),
    );
    assert(
      expectations.every((counts) => counts.length > 0),
      `${name}: a test that tests nothing`,
    );
    assert(
      expectations.some((counts) => counts.some((count) => count > 0)),
      `${name} fires in no test`,
    );
    assert(
      expectations.some((counts) => counts.every((count) => count === 0)),
      `${name} is never quiet`,
    );
  }
});
