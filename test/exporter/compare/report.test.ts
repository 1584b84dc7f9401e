import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderHtml } from '../../../exporter/compare/report/html.ts';
import { renderJson } from '../../../exporter/compare/report/json.ts';
import { renderMarkdown } from '../../../exporter/compare/report/markdown.ts';
import { renderTable } from '../../../exporter/compare/report/table.ts';
import { assess } from '../../../exporter/compare/statistics/assess.ts';
import { noisyConfiguration, testComparison } from '../../../testing/comparison.ts';
import { paperComparison } from '../../../testing/paper-comparison.ts';

const RATES = { ios: 95_000, exits: 3, cpuSeconds: 1e-4, latency: 3e-4 };
const FASTER = { ios: 135_000, exits: 3, cpuSeconds: 1e-4, latency: 2e-4 };
const original = noisyConfiguration('original', RATES, { seed: 1, samples: 240 });
const affinity = noisyConfiguration('affinity', FASTER, { seed: 2, samples: 240 });
const assessment = assess(testComparison(original, affinity), { confidence: 0.95 });

test('each form names the configurations and gains with intervals', () => {
  for (const render of [renderTable, renderMarkdown, renderHtml]) {
    const text = render(assessment);
    assert.match(text, /original/);
    assert.match(text, /I\/Os per second by 4[0-9](\.[0-9])?% \(/);
  }
});

test('the JSON form has values, intervals and verdicts by the id of the metric', () => {
  const { version, configurations } = JSON.parse(renderJson(assessment));
  assert.equal(version, 1);
  assert.equal(configurations[0].againstFirst, null);
  assert.equal(configurations[1].againstFirst.changes.iops.verdict, 'better');
  assert.equal(configurations[1].values.iops.samples, 240);
});

test('the table fits the width where names permit, and has colours only if asked', () => {
  for (const width of [70, 100, 160])
    for (const line of renderTable(assessment, { width }).split('\n')) assert.ok(line.length <= width, line);
  const ESC = String.fromCharCode(27);
  assert.ok(!renderTable(assessment).includes(ESC));
  assert.ok(renderTable(assessment, { isColoured: true }).includes(`${ESC}[32m`));
});

test('the HTML format is one file without scripts or other addresses, and its policy forbids both', () => {
  const text = renderHtml(assess(paperComparison(), { confidence: 0.95 }));
  assert.doesNotMatch(text, /<script|<link|<img|src=|url\(|https?:/);
  assert.match(text, /Content-Security-Policy" content="default-src 'none'/);
  // A bar and a whisker for each configuration and main metric.
  assert.equal(text.match(/class="bar /g)?.length, 20);
  assert.equal(text.match(/class="whisker"/g)?.length, 20);
});

test('the same input gives the same report', () => {
  const report = () => renderJson(assess(paperComparison(), { confidence: 0.95 }));
  assert.equal(report(), report());
});
