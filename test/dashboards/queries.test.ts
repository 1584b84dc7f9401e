import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { stringify } from 'yaml';
import { uidOf } from '../../dashboards/links.ts';
import { answer, marksOf, panelWindow } from '../../dashboards/preview/answers.ts';
import { type Choices, interpolate, windowOf } from '../../dashboards/preview/interpolate.ts';
import { servePreview } from '../../dashboards/preview/server.ts';
import { choose } from '../../dashboards/preview/variables.ts';
import { openPage, startBrowser } from '../../testing/browser.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { generated, NAMES, panelsOf, queriesOf, variablesOf } from '../../testing/generated.ts';
import { PATIENCE_MS } from '../../testing/patience.ts';
import { hasTool } from '../../testing/tools.ts';
import { evaluationOnce, START } from './evaluation.ts';

/** Labels that queries create. */
const MADE = new Set(['configuration', 'node', 'cpu', 'le', 'cluster']);

/** Panels that stay empty: the VMs of the evaluation have no balloon, no live migration, and nothing that inhibits APICv. */
const NOT_SIMULATED: readonly string[] = [
  'vm: Memory: 3 of 4',
  'vm: APICv and AVIC inhibited: 0 of 1',
  'vm: Live migration: memory left to send: 0 of 1',
  'vm: Live migration: sent and written again: 0 of 2',
  'vm: Live migration: expected pause: 0 of 1',
];

it('promtool accepts every expression as a recording rule', (context) => {
  if (!hasTool(context, 'promtool', 'prometheus')) return;
  const window = windowOf(START, START + 3600, 1000);
  const chosen: Choices = new Map(
    ['cluster', 'job', 'instance', 'vm', 'stage', 'by', 'before', 'after'].map((name) => [
      name,
      { values: ['a', 'b.c'], isMulti: name !== 'by' },
    ]),
  );
  const rules = NAMES.flatMap((name) => {
    const dashboard = generated(name);
    const marks = (dashboard.annotations?.list ?? []) as unknown as { expr: string }[];
    const variables = variablesOf(dashboard)
      .map(({ query }) => /^\w+\((.+?)(, \w+)?\)$/s.exec(String(query))?.[1])
      .filter((query) => query !== undefined && /[({]/.test(query));
    const all = [
      ...panelsOf(dashboard).flatMap((panel) => queriesOf(panel).map(({ expr }) => expr)),
      ...marks.map(({ expr }) => expr),
      ...(variables as string[]),
    ];
    return all.map((expr, i) => ({
      record: `dashboard:${name.replaceAll('-', '_')}:${i}`,
      expr: interpolate(expr, chosen, window),
    }));
  });
  assert.ok(rules.length > 150, `${rules.length}`);
  const folder = temporaryFolder({ after });
  const file = join(folder, 'rules.yaml');
  writeFileSync(file, stringify({ groups: [{ name: 'dashboards', rules }] }));
  assert.match(
    execFileSync('promtool', ['check', 'rules', file], { encoding: 'utf8' }),
    new RegExp(`${rules.length} rules found`),
  );
});

describe('on a Prometheus with the history of the paper’s evaluation', () => {
  const history = evaluationOnce();

  for (const name of NAMES) {
    const dashboard = generated(name);

    it(`every query of ${name} has the expected series`, async (context) => {
      const server = await history(context);
      if (server === undefined) return;
      const { url, from, to } = server;
      const { choices, offered } = await choose(variablesOf(dashboard), url, windowOf(from, to, 1000));
      for (const [variable, values] of offered)
        assert.equal(values.length > 0, variable !== 'cluster', `variable ${variable}`);
      const known = await labelNames(url);
      for (const panel of panelsOf(dashboard)) {
        const { noValue } = (panel.fieldConfig?.defaults ?? {}) as { noValue?: string };
        const answers = await answer(panel, url, choices, panelWindow(panel, from, to)).catch((error) => {
          throw new Error(`${panel.title}: ${error}`);
        });
        for (const [i, { expr, legendFormat, refId }] of queriesOf(panel).entries()) {
          const series = answers[i]?.series ?? [];
          if (noValue === undefined)
            assert.ok(series.length > 0, `${panel.title} ${refId} is empty: ${expr}`);
          for (const { metric } of series) {
            for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
              assert.ok(metric[label] !== undefined, `${panel.title}: the series have no label ${label}`);
            }
          }
          for (const [, list = ''] of expr.matchAll(/(?:by|on|group_left) \(([^)]*)\)/g)) {
            for (const label of list.split(', ').filter((one) => one !== '')) {
              assert.ok(
                known.has(label) || MADE.has(label),
                `${panel.title}: no series has a label ${label}`,
              );
            }
          }
        }
      }
    });
  }

  it('no panel is empty for one VM of one host', async (context) => {
    const server = await history(context);
    if (server === undefined) return;
    const { url, from, to } = server;
    const wishes = { instance: ['sim-host:9954'], vm: ['db'], stage: ['original', 'pinned_queues'] };
    const lacking: string[] = [];
    for (const name of ['vm', 'patch-effect'] as const) {
      const dashboard = generated(name);
      const { choices } = await choose(variablesOf(dashboard), url, windowOf(from, to, 1000), wishes);
      for (const panel of panelsOf(dashboard)) {
        if (panel.title === 'Firing alerts') continue;
        const answers = await answer(panel, url, choices, panelWindow(panel, from, to));
        const filled = answers.filter(({ series }) => series.length > 0).length;
        // One query for each configuration, and two are chosen.
        const expected = panel.title === 'Configurations' ? 2 : answers.length;
        if (filled !== expected) lacking.push(`${name}: ${panel.title}: ${filled} of ${expected}`);
      }
    }
    assert.deepEqual(lacking, NOT_SIMULATED);
  });

  it("gives the paper's numbers by configuration", async (context) => {
    const server = await history(context);
    if (server === undefined) return;
    const { url, from, to } = server;
    const dashboard = generated('patch-effect');
    const numbers = async (vm: string, title: string): Promise<Record<string, number>> => {
      const { choices } = await choose(variablesOf(dashboard), url, windowOf(from, to, 1000), { vm: [vm] });
      const panel = panelsOf(dashboard).find((one) => one.type === 'barchart' && one.title === title);
      assert.ok(panel !== undefined);
      const [values] = await answer(panel, url, choices, panelWindow(panel, from, to));
      return Object.fromEntries(
        (values?.series ?? []).map(({ metric, value }) => [metric['configuration'], Number(value?.[1])]),
      );
    };
    const close = (found: Record<string, number>, expected: Record<string, number>): void => {
      assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
      for (const [key, value] of Object.entries(expected)) {
        assert.ok(Math.abs((found[key] ?? 0) / value - 1) < 0.03, `${key}: ${found[key]} for ${value}`);
      }
    };
    // Fig. 15.
    close(await numbers('db', 'I/Os per second'), {
      original: 95_000,
      affinity: 135_000,
      exitless_polling: 200_000,
      parallel_batching: 250_000,
      pinned_queues: 300_000,
    });
    // Fig. 10 and Table 1.
    const table1 = { 'data plane': 10, 'exitless polling': 8.5, 'exitless polling with CPU saving': 7.5 };
    close(await numbers('oltp', 'CPU'), table1);
    const perIo = await numbers('db', 'Exits per I/O');
    assert.ok(Math.abs((perIo['original'] ?? 0) - 3) < 0.1 && (perIo['pinned_queues'] ?? 1) < 0.05);
  });

  it('marks each change of a stage and of a declared phase once', async (context) => {
    const server = await history(context);
    if (server === undefined) return;
    const { url, from, to } = server;
    const dashboard = generated('vm');
    const { choices } = await choose(variablesOf(dashboard), url, windowOf(from, to, 1000), { vm: ['oltp'] });
    const marks = await marksOf(dashboard.annotations?.list ?? [], url, choices, from, to);
    const texts = marks.map(({ text }) => text);
    assert.equal(texts.filter((text) => text === 'oltp has phase exitless polling').length, 1);
    assert.equal(
      texts.filter((text) => text === 'oltp has phase exitless polling with CPU saving').length,
      1,
    );
    assert.equal(texts.filter((text) => text === 'oltp is in stage exitless_polling').length, 1);
    assert.ok(!texts.includes('oltp has phase data plane'), 'the beginning is no change');
  });

  it('the preview draws every panel of each dashboard', { timeout: 300_000 }, async (context) => {
    const server = await history(context);
    if (server === undefined) return;
    const browser = await startBrowser(context);
    if (browser === undefined) return;
    const preview = await servePreview({ ...server, port: 0 });
    context.after(() => preview.close());
    const { port } = preview.address() as { port: number };
    for (const name of NAMES) {
      const { page, complaints } = await openPage(browser, `http://127.0.0.1:${port}/d/${uidOf(name)}`);
      await page.waitForSelector('body[data-ready]', { timeout: 2 * PATIENCE_MS });
      const panels = panelsOf(generated(name));
      assert.deepEqual(complaints, []);
      assert.equal(await page.locator('section.panel').count(), panels.length);
      assert.equal(await page.getByText('No data', { exact: true }).count(), 0, name);
      await page.close();
    }
  });
});

async function labelNames(url: string): Promise<Set<string>> {
  const { data } = (await (await fetch(`${url}/api/v1/labels`)).json()) as { data: string[] };
  return new Set(data);
}
