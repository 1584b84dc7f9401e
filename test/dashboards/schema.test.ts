import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { GridPos, Panel } from '@grafana/schema';
import { uidOf } from '../../dashboards/links.ts';
import { generatedDashboards } from '../../scripts/dashboards.ts';
import { generated, NAMES, panelsOf, queriesOf, variablesOf } from '../../testing/generated.ts';
import { dimensionOf, unitsOf } from './dimension.ts';

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
/** Of classic panels in Grafana 10 to 13. */
const TYPES = ['text', 'stat', 'timeseries', 'barchart', 'table', 'heatmap', 'state-timeline'];
/** Legacy keys of grafana-dash-gen. */
const LEGACY =
  /"(rows|span|hideControls|sharedCrosshair|originalTitle|hideAllLegends|showTitle|allFormat|error|style|bars|nullPointMode|renderer)":/;
/** A selector with its matchers. A name before a bracket is a function, an operator or a keyword. */
const SELECTORS = /\b([a-zA-Z_][a-zA-Z0-9_:]*)(\{[^}]*\})?(?=[\s)[,]|$)/g;
const WORDS = new Set(
  'and or unless on by group_left offset end sum max min avg count job instance vm'.split(' '),
);

function selectors(expr: string): { name: string; matchers: string; end: number }[] {
  // Label lists and texts are no selectors.
  const bare = expr
    .replaceAll(/(by|on|group_left) \([^)]*\)/g, (text) => ' '.repeat(text.length))
    .replaceAll(/, "[^"]*"/g, (text) => ' '.repeat(text.length))
    .replaceAll(/\("[^"]*"/g, (text) => `(${' '.repeat(text.length - 1)}`);
  return [...bare.matchAll(SELECTORS)]
    .filter(
      ([whole, name = '']) =>
        !WORDS.has(name) && (whole.includes('{') || /^(kvm_|up$|process_|scrape_|vm|host)/.test(name)),
    )
    .map(({ 0: whole, 1: name = '', 2: matchers = '', index }) => ({
      name,
      matchers,
      end: index + whole.length,
    }));
}

function overlap(a: GridPos, b: GridPos): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

interface Transformation {
  readonly id: string;
  readonly options: { include?: { names: string[] }; renameByName?: Record<string, string> };
}

/** The unit in which the result of a query is shown; undefined if it is hidden. */
function unitOf(panel: Panel, refId: string): string | undefined {
  const { defaults, overrides } = panel.fieldConfig as {
    defaults: { unit?: string };
    overrides: { matcher: { id: string; options: string }; properties: { id: string; value: string }[] }[];
  };
  const isOnly = queriesOf(panel).length === 1;
  let name = isOnly ? 'Value' : `Value #${refId}`;
  for (const { id, options } of (panel.transformations ?? []) as unknown as Transformation[]) {
    if (id === 'filterFieldsByName' && options.include?.names.includes(name) !== true) return undefined;
    if (id === 'organize') name = options.renameByName?.[name] ?? name;
  }
  const own = overrides.find(({ matcher: { id, options } }) =>
    id === 'byFrameRefID' ? options === refId : options === name,
  );
  if (panel.type === 'heatmap') return undefined;
  return own?.properties.find(({ id }) => id === 'unit')?.value ?? defaults.unit;
}

for (const name of NAMES) {
  describe(`dashboard ${name}`, () => {
    const dashboard = generated(name);
    const panels = panelsOf(dashboard);
    const asked = panels.filter(({ type }) => type !== 'text');

    it('is classic JSON without legacy keys', () => {
      assert.equal(dashboard.schemaVersion, 39);
      assert.equal(dashboard.uid, uidOf(name));
      assert.ok((dashboard.uid?.length ?? 0) <= 40);
      assert.equal(dashboard.editable, false);
      assert.doesNotMatch(JSON.stringify(dashboard), LEGACY);
      assert.deepEqual(
        panels.filter(({ type }) => !TYPES.includes(type)).map(({ type }) => type),
        [],
      );
    });

    it('begins with the question that it answers', () => {
      const [first] = dashboard.panels ?? [];
      assert.equal(first?.type, 'text');
      const { content } = (first as Panel).options as { content: string };
      assert.match(content, /^\*\*[A-Z][^*]+\?\*\* [A-Z]/);
    });

    it('has unique ids, and panels that do not overlap and stay on the grid', () => {
      const all = dashboard.panels ?? [];
      const ids = all.map(({ id }) => id);
      assert.deepEqual(ids, [...new Set(ids)]);
      for (const [i, { gridPos: a, title }] of all.entries()) {
        assert.ok(a !== undefined && a.x >= 0 && a.x + a.w <= 24 && a.h > 0, title);
        for (const { gridPos: b, title: other } of all.slice(i + 1)) {
          assert.ok(b !== undefined && !overlap(a, b), `${title} and ${other}`);
        }
      }
    });

    it('has titles, descriptions, units and the data source variable on every panel', () => {
      for (const panel of asked) {
        const { title = '', description = '', type } = panel;
        assert.ok(title !== '' && /^[A-Z].*\.$/s.test(description), `${title}: ${description}`);
        assert.deepEqual(panel.datasource, DATASOURCE, title);
        const queries = queriesOf(panel) as { datasource?: unknown }[];
        assert.ok(queries.length > 0, title);
        for (const { datasource } of queries) assert.deepEqual(datasource, DATASOURCE, title);
        const { defaults } = panel.fieldConfig as { defaults: { unit?: string } };
        assert.ok(type === 'table' || defaults.unit !== undefined, `unit of ${title}`);
      }
    });

    it('shows each number in a unit that its metric allows', () => {
      for (const panel of asked) {
        for (const { refId, expr } of queriesOf(panel)) {
          const unit = unitOf(panel, refId);
          if (unit === undefined) continue;
          const units = unitsOf(dimensionOf(expr));
          assert.ok(units.includes(unit), `${panel.title} ${refId}: ${unit} is none of ${units.join()}`);
        }
      }
    });

    it('matches job and instance in every selector, and takes rates of counters only', () => {
      for (const panel of asked) {
        for (const { expr } of queriesOf(panel)) {
          const found = selectors(expr);
          assert.ok(found.length > 0, expr);
          for (const { name: metric, matchers, end } of found) {
            assert.match(
              matchers,
              /cluster=~"\$cluster",job=~"\$job"/,
              `${panel.title}: ${metric} in ${expr}`,
            );
            // Nobody can select from a list of 10,000 hosts, so the fleet dashboard has sums and the worst hosts and
            // VMs.
            if (name === 'fleet') assert.doesNotMatch(matchers, /instance/, `${panel.title}: ${metric}`);
            else assert.match(matchers, /instance=~"\$instance"/, `${panel.title}: ${metric}`);
            const isCounter = /_(total|bucket|count|sum)$/.test(metric) && !metric.includes(':');
            // A subquery has a colon between its brackets.
            const isRange = /^\[[^:\]]*\]/.test(expr.slice(end));
            assert.equal(isRange, isCounter, `${panel.title}: ${metric}`);
          }
          for (const [, window] of expr.matchAll(/rate\([^[]*\[([^\]]*)\]/g)) {
            assert.equal(window, '$__rate_interval', panel.title);
          }
        }
      }
    });

    it('has variables that pass the linter, and uses each', () => {
      const variables = variablesOf(dashboard);
      const [first, cluster, job, instance] = variables;
      assert.deepEqual([first?.name, first?.type, first?.label], ['datasource', 'datasource', 'Data source']);
      assert.deepEqual(
        [cluster, job, instance].flatMap((each) => [each?.name, each?.label]),
        [
          'cluster',
          'Cluster',
          'job',
          'Job',
          ...(name === 'fleet' ? ['stage', 'Stage'] : ['instance', 'Instance']),
        ],
      );
      const own = new Set(variables.map((variable) => variable.name));
      // Grafana leaves a variable that it does not know as it is, so the query matches nothing. Links have those of their target.
      const { links: _, ...shown } = dashboard;
      for (const [, used = ''] of JSON.stringify(shown).matchAll(/=~\\"\$(\w+)/g))
        assert.ok(own.has(used), used);
      for (const variable of variables.slice(1)) {
        const { name: own, type, multi, includeAll, allValue, refresh, datasource } = variable;
        assert.ok(JSON.stringify(dashboard).includes(`$${own}`), `${own} is used`);
        if (type === 'custom' || ['before', 'after'].includes(own)) continue;
        assert.deepEqual(
          { multi, includeAll, allValue, refresh },
          { multi: true, includeAll: true, allValue: own === 'cluster' ? '.*' : '.+', refresh: 2 },
        );
        assert.deepEqual(datasource, DATASOURCE);
      }
    });

    it('links to the others, keeping time range and variables', () => {
      const links = dashboard.links ?? [];
      assert.deepEqual(
        links.map(({ url }) => url),
        NAMES.filter((other) => other !== name).map((other) => `/d/${uidOf(other)}`),
      );
      for (const { keepTime, includeVars, targetBlank } of links) {
        assert.deepEqual(
          { keepTime, includeVars, targetBlank },
          { keepTime: true, includeVars: true, targetBlank: false },
        );
      }
      for (const [, uid] of JSON.stringify(dashboard).matchAll(/"url": ?"\/d\/([a-z-]+)/g)) {
        assert.ok(
          NAMES.some((other) => uidOf(other) === uid),
          uid,
        );
      }
    });
  });
}

it('the fleet queries sums and worst of clusters, and of each host only the row of its table', () => {
  const ofHost = /^(host:[\w:]+|scrape_duration_seconds|kvm_telemetry_series)$/;
  for (const panel of panelsOf(generated('fleet'))) {
    for (const { expr } of queriesOf(panel)) {
      const isRow = panel.title === 'Hosts' && panel.type === 'table';
      for (const { name } of selectors(expr))
        assert.ok(
          /^(cluster(_\w+)?:|ALERTS)/.test(name) || (isRow && ofHost.test(name)),
          `${panel.title}: ${name}`,
        );
      assert.doesNotMatch(expr, /rate\(/);
    }
  }
});

it('the live page links to the dashboard of a VM', () => {
  const page = readFileSync(new URL('../../../exporter/page/browser/vm-view.ts', import.meta.url), 'utf8');
  assert.ok(page.includes(`/d/${uidOf('vm')}?var-vm=`));
});

it('no two queries of a panel are equal', () => {
  for (const name of NAMES) {
    const seen = new Set<string>();
    for (const panel of panelsOf(generated(name))) {
      const all = queriesOf(panel).map(({ expr }) => `${panel.type} ${expr}`);
      const key = all.join('\n');
      assert.ok(panel.type === 'text' || !seen.has(key), `${name}: ${panel.title}`);
      seen.add(key);
    }
  }
});

it('generation is reproducible', () => {
  const [once, again] = [generatedDashboards(), generatedDashboards()];
  assert.deepEqual([...once], [...again]);
  assert.equal(once.size, NAMES.length + 1, 'the dashboards and their kustomization');
  for (const [path, content] of once) {
    assert.equal(readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8'), content, path);
  }
});
