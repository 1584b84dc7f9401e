import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { alertingFile, type RuleFile, recordingFile } from '../../alerts/rule-files.ts';
import { catalogue } from '../../exporter/metrics/catalogue.ts';
import { ROOT } from '../../testing/daemon.ts';

/** Rules and catalogue of the version before: both run beside this one while a fleet is upgraded. */
const BEFORE = `${ROOT}test/fixtures/versions/8d80e041/`;
const rulesOf = (name: string): RuleFile => parse(readFileSync(`${BEFORE}${name}`, 'utf8')) as RuleFile;
const oldMetrics = JSON.parse(readFileSync(`${BEFORE}metrics.json`, 'utf8')) as Record<string, string[]>;
const newMetrics = Object.fromEntries(
  Object.entries(catalogue).map(([name, { labels }]) => [name, [...labels]]),
);

interface Selector {
  readonly metric: string;
  readonly labels: readonly string[];
}

/** The metrics that rules select, with the labels of their matchers. */
function selectorsOf(files: readonly RuleFile[]): Selector[] {
  const exprs = files.flatMap(({ groups }) => groups.flatMap(({ rules }) => rules.map(({ expr }) => expr)));
  return exprs.flatMap((expr) =>
    [...expr.matchAll(/(?<![:\w])(kvm_\w+)(?:\{([^}]*)\})?/g)].map(([, metric = '', matchers = '']) => ({
      metric,
      labels: [...matchers.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)].map(([, label = '']) => label),
    })),
  );
}

/** Names in the selectors that the metrics lack. */
function missing(
  selectors: readonly Selector[],
  metrics: Readonly<Record<string, readonly string[]>>,
): string[] {
  const found = selectors.flatMap(({ metric, labels }) => {
    const known = metrics[metric] ?? metrics[metric.replace(/_(bucket|sum|count)$/, '')];
    if (known === undefined) return [metric];
    return labels.filter((label) => !known.includes(label)).map((label) => `${metric}{${label}}`);
  });
  return [...new Set(found)].sort();
}

test('the rules of the version before run on the metrics of this one', () => {
  const selectors = selectorsOf([rulesOf('recording.yaml'), rulesOf('alerting.yaml')]);
  assert(selectors.length > 60);
  assert.deepEqual(missing(selectors, newMetrics), []);
});

test('the rules of this version run on the metrics of the version before', () => {
  assert.deepEqual(missing(selectorsOf([recordingFile(), alertingFile()]), oldMetrics), []);
});

test('a recorded series of the version before is still recorded', () => {
  const names = ({ groups }: RuleFile): string[] =>
    groups.flatMap(({ rules }) => rules.flatMap(({ record }) => record ?? []));
  const now = new Set(names(recordingFile()));
  assert.deepEqual(
    names(rulesOf('recording.yaml')).filter((name) => !now.has(name)),
    [],
  );
});

test('a removed metric or label is detected', () => {
  const selectors = selectorsOf([
    { groups: [{ name: 'g', rules: [{ expr: 'kvm_gone + kvm_vm_vcpus{vm="a",gone=~"b"}' }] }] },
  ]);
  assert.deepEqual(missing(selectors, newMetrics), ['kvm_gone', 'kvm_vm_vcpus{gone}']);
});
