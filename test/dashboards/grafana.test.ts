import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { AnnotationQuery, Panel } from '@grafana/schema';
import fc from 'fast-check';
import { answer, marksOf, panelWindow } from '../../dashboards/preview/answers.ts';
import { type Choices, interpolate, windowOf } from '../../dashboards/preview/interpolate.ts';
import { bucketsOf } from '../../dashboards/preview/page/buckets.ts';
import { format } from '../../dashboards/preview/page/format.ts';
import { frameOf } from '../../dashboards/preview/page/frames.ts';
import { fieldsOf } from '../../dashboards/preview/page/view.ts';
import type { TargetAnswer } from '../../dashboards/preview/preview.ts';
import { range } from '../../dashboards/preview/prometheus.ts';
import { choose } from '../../dashboards/preview/variables.ts';
import { generated, NAMES, panelsOf, variablesOf } from '../../testing/generated.ts';
import { type Column, type Grafana, grafanas } from '../../testing/grafana.ts';
import type { HistoryServer } from '../../testing/history.ts';
import { evaluationOnce } from './evaluation.ts';

const UNITS = new Set(
  NAMES.flatMap((name) => [...JSON.stringify(generated(name)).matchAll(/"unit":"([^"]+)"/g)]).map(
    ([, unit = '']) => unit,
  ),
);

let loaded: readonly Grafana[] | undefined;
/** Grafana 10 and 13; undefined if they are not installed. */
function versionsOf(context: TestContext): readonly Grafana[] | undefined {
  loaded ??= grafanas(context);
  return loaded;
}

it('values are formatted as in Grafana 10 and 13', (context) => {
  const versions = versionsOf(context);
  if (versions === undefined) return;
  // That unit depends on the clock: see below.
  const units = [...UNITS].filter((unit) => unit !== 'dateTimeFromNow');
  assert.ok(units.length > 8);
  const number = fc.oneof(
    fc.double({ noNaN: true, min: -1e12, max: 1e15 }).filter((value) => Math.abs(value) > 1e-12),
    fc.double({ noNaN: true, min: 1e-9, max: 2 }),
    fc.integer({ min: 0, max: 5_000_000 }),
    fc.constantFrom(0, 1e-9, 0.9995, 59.9, 60, 999.4, 999.9, 1000, 3599, 86_399, 86_400, 604_800, 31_536_000),
  );
  for (const grafana of versions) {
    for (const unit of units) {
      fc.assert(
        fc.property(number, fc.constantFrom(undefined, 0, 1, 2, 3), (value, decimals) => {
          assert.equal(
            format(value, unit, decimals),
            grafana.format(value, unit, decimals),
            `${value} ${unit} ${decimals} in ${grafana.version}`,
          );
        }),
        { numRuns: 300 },
      );
    }
  }
});

interface Asked {
  readonly dashboard: string;
  readonly panel: Panel;
  readonly answers: readonly TargetAnswer[];
}

describe('with responses of a Prometheus', () => {
  const history = evaluationOnce();
  let made: Promise<readonly Asked[]> | undefined;
  const choicesOf = async (
    name: (typeof NAMES)[number],
    { url, from, to }: HistoryServer,
  ): Promise<Choices> => (await choose(variablesOf(generated(name)), url, windowOf(from, to, 1000))).choices;
  async function asked(server: HistoryServer): Promise<readonly Asked[]> {
    const all: Asked[] = [];
    for (const name of NAMES) {
      const choices = await choicesOf(name, server);
      for (const panel of panelsOf(generated(name))) {
        const window = panelWindow(panel, server.from, server.to);
        all.push({ dashboard: name, panel, answers: await answer(panel, server.url, choices, window) });
      }
    }
    return all;
  }
  /** The responses for every panel; undefined if a program is missing. */
  async function panels(context: TestContext): Promise<readonly Asked[] | undefined> {
    const server = await history(context);
    if (server !== undefined) made ??= asked(server);
    return made;
  }

  it('tables and bars have the rows and columns that Grafana 10 and 13 make', async (context) => {
    const versions = versionsOf(context);
    const all = await panels(context);
    if (versions === undefined || all === undefined) return;
    const transformed = all.filter(({ panel }) => (panel.transformations ?? []).length > 0);
    assert.ok(transformed.length > 15);
    for (const grafana of versions) {
      for (const { dashboard, panel, answers } of transformed) {
        const title = `${dashboard}: ${panel.title} in ${grafana.version}`;
        // All results, and the results without each single query.
        const without = answers.map((one) =>
          answers.map((each) => (each === one ? { ...one, series: [] } : each)),
        );
        for (const found of answers.length > 1 ? [answers, ...without] : [answers]) {
          const columns = await grafana.columns(panel, found);
          assert.deepEqual(plain(frameOf(found, panel.transformations)), plain(columns), title);
          assert.deepEqual(repeated(columns), [], title);
        }
      }
    }
  });

  it('overrides apply to the same series as in Grafana 10 and 13', async (context) => {
    const versions = versionsOf(context);
    const all = await panels(context);
    if (versions === undefined || all === undefined) return;
    let given = 0;
    for (const grafana of versions) {
      for (const { dashboard, panel, answers } of all) {
        // Tables match overrides by column names, which the test above compares.
        if (panel.type === 'table' || panel.type === 'heatmap' || panel.fieldConfig === undefined) continue;
        const { overrides, ...rest } = panel.fieldConfig;
        const fieldOf = fieldsOf({ ...rest, overrides } as unknown as Parameters<typeof fieldsOf>[0]);
        const without = fieldsOf({ ...rest, overrides: [] } as unknown as Parameters<typeof fieldsOf>[0]);
        for (const { name, refId, set } of grafana.overrides(panel, answers)) {
          const own = Object.entries(fieldOf(name, refId)).filter(
            ([key, value]) =>
              JSON.stringify(value) !== JSON.stringify(Reflect.get(without(name, refId), key)),
          );
          for (const [key] of own) {
            const isSet = set.some(({ id }) => id === key || (key === 'custom' && id.startsWith('custom.')));
            assert.ok(
              isSet,
              `${dashboard}: ${panel.title}: ${name} (${refId}) has ${key} in the preview only`,
            );
            given++;
          }
          if (set.length > 0)
            assert.ok(own.length > 0, `${dashboard}: ${panel.title}: ${name} has more in Grafana`);
        }
      }
    }
    assert.ok(given > 10, `${given}`);
  });

  it('heatmaps have the same rows as in Grafana', async (context) => {
    const versions = versionsOf(context);
    const all = await panels(context);
    if (versions === undefined || all === undefined) return;
    const heatmaps = all.filter(({ panel }) => panel.type === 'heatmap');
    assert.ok(heatmaps.length > 0);
    for (const grafana of versions) {
      for (const { panel, answers } of heatmaps) {
        const rows = grafana
          .rows(panel, answers)
          .map(([le, values]) => [Number(le === '+Inf' ? Infinity : le), values]);
        const own = bucketsOf(answers).map(({ le, cells }) => [le, cells.map(([, value]) => value)]);
        assert.deepEqual(own, rows, panel.title);
      }
    }
  });

  it('annotations have the same positions as in Grafana', async (context) => {
    const versions = versionsOf(context);
    const server = await history(context);
    if (versions === undefined || server === undefined) return;
    const { url, from, to } = server;
    const choices = await choicesOf('vm', server);
    const window = windowOf(from, to, 100);
    const annotations = (generated('vm').annotations?.list ?? []) as unknown as readonly (AnnotationQuery & {
      readonly expr: string;
      readonly textFormat: string;
    })[];
    const own = await marksOf(annotations, url, choices, from, to);
    assert.ok(own.length > 3);
    for (const grafana of versions) {
      const marks = [];
      for (const annotation of annotations) {
        const series = await range(url, interpolate(annotation.expr, choices, window), window);
        const named = series.map((one) => ({ ...one, name: '' }));
        const answers = [{ refId: 'Anno', format: 'time_series', isInstant: false, series: named } as const];
        if (series.length > 0) marks.push(...(await grafana.marks(annotation, answers, window.step)));
      }
      const sorted = (some: readonly { at: number; text: string }[]): string[] =>
        some.map(({ at, text }) => `${at} ${text}`).sort();
      assert.deepEqual(sorted(own), sorted(marks), grafana.version);
    }
  });
});

/** Rows that have the same labels as another row, because rows of different queries were not merged. */
function repeated(columns: readonly Column[]): string[] {
  const labels = columns.filter(([, values]) => values.some((value) => typeof value === 'string'));
  const rows = (labels[0]?.[1] ?? []).map((_, i) => JSON.stringify(labels.map(([, values]) => values[i])));
  return rows.filter((row, i) => rows.indexOf(row) !== i);
}

/** All forms of an empty value are equal, and a table without rows equals one without columns. */
function plain(columns: Iterable<readonly [string, readonly unknown[]]>): [string, unknown[]][] {
  return [...columns]
    .filter(([, values]) => values.length > 0)
    .map(([name, values]) => [
      name,
      values.map((value) => (value === '' || value === null || Number.isNaN(value) ? undefined : value)),
    ]);
}
