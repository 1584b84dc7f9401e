import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { AnnotationQuery, Panel, RowPanel, VariableModel } from '@grafana/schema';
import { answer, marksOf, panelWindow } from '../../dashboards/preview/answers.ts';
import {
  type Choices,
  type Chosen,
  inText,
  interpolate,
  windowOf,
} from '../../dashboards/preview/interpolate.ts';
import type { Preview } from '../../dashboards/preview/preview.ts';
import { opened, servePreview } from '../../dashboards/preview/server.ts';
import { choose } from '../../dashboards/preview/variables.ts';

const WINDOW = { from: 1000, to: 4600, step: 60 };

function choices(chosen: Readonly<Record<string, Partial<Chosen>>>): Choices {
  return new Map(
    Object.entries(chosen).map(([name, some]) => [name, { values: [], isMulti: true, ...some }]),
  );
}

test('the step is the first of Grafana that gives no more points than pixels', () => {
  assert.deepEqual(windowOf(0, 3600, 100), { from: 0, to: 3600, step: 60 });
  const step = (seconds: number, points: number): number => windowOf(500, 500 + seconds, points).step;
  assert.equal(step(3600, 60), 60, 'exactly');
  assert.equal(step(3600, 59), 120);
  assert.equal(step(60, 1000), 15, 'not below the scrape interval');
  assert.equal(step(10 * 86_400 * 365, 10), 86_400, 'not above a day');
  assert.deepEqual(panelWindow({ gridPos: { w: 6 } } as Panel, 0, 21_600), { from: 0, to: 21_600, step: 60 });
  assert.equal(panelWindow({} as Panel, 0, 21_600).step, 30, 'half of the width');
});

test('the times of a query are those of the window', () => {
  const text = '$__interval $__interval_ms ${__range} $__range_s $__range_ms $__rate_interval';
  assert.equal(interpolate(text, new Map(), WINDOW), '60s 60000 3600s 3600 3600000 75s');
  assert.equal(interpolate('$__rate_interval', new Map(), { ...WINDOW, step: 15 }), '60s');
});

test('a variable in a query is one value, an alternative of values, or its own text for all', () => {
  const query = (chosen: Partial<Chosen>): string => interpolate('$vm', choices({ vm: chosen }), WINDOW);
  assert.equal(query({ values: ['a'] }), 'a');
  assert.equal(query({ values: ['a.b', 'c'] }), '(a\\\\.b|c)');
  assert.equal(query({ values: ['a', 'b'], all: '.+' }), '.+');
  assert.equal(query({ values: [] }), '()');
  assert.equal(query({ values: ['a.b"c\\', 'x'], isMulti: false }), 'a.b\\"c\\\\');
  assert.equal(query({ values: [], isMulti: false }), '');
  assert.equal(interpolate('${vm:regex} $other', choices({ vm: { values: ['a'] } }), WINDOW), 'a $other');
});

test('a variable in a title is its values, or All', () => {
  const known = choices({ vm: { values: ['a', 'b'] }, host: { values: ['x'], all: '.+' } });
  assert.equal(inText('$vm on $host of $other', known), 'a + b on All of $other');
});

interface Request {
  readonly path: string;
  readonly parameters: Record<string, string>;
}

/** A Prometheus with one fixed response for each path. */
async function prometheus(
  context: TestContext,
  responses: Readonly<Record<string, unknown>>,
): Promise<{ url: string; requests: Request[] }> {
  const requests: Request[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const path = (request.url ?? '').replace('/api/v1/', '');
      requests.push({ path, parameters: Object.fromEntries(new URLSearchParams(body)) });
      const data = responses[path];
      response.end(JSON.stringify(data === undefined ? { status: 'error', error: 'parse error' } : { data }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  context.after(() => server.closeAllConnections());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

test('each query of a panel is sent as a range or instant query, and its series have names', async (context) => {
  const { url, requests } = await prometheus(context, {
    query: { result: [{ metric: { vm: 'a' }, value: [4600, '7'] }] },
    query_range: { result: [{ metric: { vm: 'b' }, values: [[1020, '1']] }] },
  });
  const panel = {
    targets: [
      { refId: 'A', expr: 'up{vm=~"$vm"}', instant: true, format: 'table', legendFormat: '' },
      {
        refId: 'B',
        expr: 'rate(x[$__rate_interval])',
        instant: false,
        format: 'time_series',
        legendFormat: '{{vm}} of $vm{{none}}',
      },
    ],
  } as unknown as Panel;
  const answers = await answer(panel, url, choices({ vm: { values: ['a'] } }), WINDOW);
  assert.deepEqual(requests, [
    { path: 'query', parameters: { query: 'up{vm=~"a"}', time: '4600' } },
    {
      path: 'query_range',
      // The first multiple of the step.
      parameters: { query: 'rate(x[75s])', start: '1020', end: '4600', step: '60' },
    },
  ]);
  assert.deepEqual(answers, [
    {
      refId: 'A',
      format: 'table',
      isInstant: true,
      series: [{ metric: { vm: 'a' }, value: [4600, '7'], name: '' }],
    },
    {
      refId: 'B',
      format: 'time_series',
      isInstant: false,
      series: [{ metric: { vm: 'b' }, values: [[1020, '1']], name: 'b of a' }],
    },
  ]);
  assert.deepEqual(await answer({} as Panel, url, new Map(), WINDOW), [], 'a text panel asks nothing');
});

test("Prometheus' error is the error of the query", async (context) => {
  const { url } = await prometheus(context, {});
  const panel = { targets: [{ expr: 'x', instant: true }] } as unknown as Panel;
  await assert.rejects(answer(panel, url, new Map(), WINDOW), /parse error/);
});

test('adjacent points of an annotation are one mark; one that is off has none', async (context) => {
  const points = (text: string, ...at: readonly (readonly [number, string])[]) => ({
    metric: { phase: text },
    values: at,
  });
  const { url, requests } = await prometheus(context, {
    query_range: {
      result: [
        points('late', [1600, '1']),
        points('early', [1000, '1'], [1060, '1'], [1120, '0'], [1180, '1'], [1300, '1']),
      ],
    },
  });
  const annotation = {
    enable: true,
    expr: 'changes(x[$__interval])',
    textFormat: '{{phase}}',
    iconColor: 'red',
  };
  const marks = await marksOf(
    [annotation, { ...annotation, enable: false }] as unknown as AnnotationQuery[],
    url,
    new Map(),
    1000,
    4600,
  );
  assert.deepEqual(
    marks.map(({ at, text, color }) => `${at} ${text} ${color}`),
    ['1000 early red', '1300 early red', '1600 late red'],
  );
  assert.deepEqual(
    requests.map(({ parameters }) => parameters['query']),
    ['changes(x[60s])'],
  );
});

const variable = (name: string, more: Record<string, unknown>): VariableModel =>
  ({ name, type: 'query', ...more }) as unknown as VariableModel;

test('variables have the values of Prometheus, and depend on the variables before them', async (context) => {
  const { url, requests } = await prometheus(context, {
    series: [{ vm: 'vm10' }, { vm: 'vm9' }, { vm: 'vm9' }, { instance: 'x' }],
    query: {
      result: [{ metric: { phase: 'p1', vm: 'a' } }, { metric: { vm: 'b' } }, { metric: { phase: 'p1' } }],
    },
  });
  const { choices: made, offered } = await choose(
    [
      variable('datasource', { type: 'datasource' }),
      variable('scale', { type: 'custom', options: [{ value: 1 }, { value: 2 }] }),
      variable('vm', {
        query: 'label_values(x{scale="$scale"}, vm)',
        multi: true,
        includeAll: true,
        allValue: '.+',
      }),
      variable('phase', { query: 'query_result(y{vm=~"$vm"})', regex: '/phase="([^"]*)"/' }),
      variable('host', { query: 'label_values(x, instance)', includeAll: true }),
    ],
    url,
    WINDOW,
  );
  assert.deepEqual(Object.fromEntries(offered), {
    scale: ['1', '2'],
    vm: ['vm9', 'vm10'],
    phase: ['p1'],
    host: ['x'],
  });
  assert.deepEqual(Object.fromEntries(made), {
    scale: { values: ['1'], isMulti: false },
    vm: { values: ['vm9', 'vm10'], isMulti: true, all: '.+' },
    phase: { values: ['p1'], isMulti: false },
    host: { values: ['x'], isMulti: false, all: '.*' },
  });
  assert.deepEqual(
    requests.map(({ path, parameters }) => [path, parameters['match[]'] ?? parameters['query']]),
    [
      ['series', 'x{scale="1"}'],
      ['query', 'y{vm=~".+"}'],
      ['series', 'x'],
    ],
  );
  assert.deepEqual([requests[0]?.parameters['start'], requests[0]?.parameters['end']], ['1000', '4600']);
});

test('a requested value precedes the default, and an unknown kind of query is an error', async (context) => {
  const { url } = await prometheus(context, { series: [{ vm: 'a' }, { vm: 'b' }] });
  const vm = variable('vm', { query: 'label_values(x, vm)', multi: true, includeAll: true, allValue: '.+' });
  const { choices: made } = await choose([vm], url, WINDOW, { vm: ['b'] });
  assert.deepEqual(made.get('vm'), { values: ['b'], isMulti: true });
  await assert.rejects(
    choose([variable('x', { query: 'metrics(.*)' })], url, WINDOW),
    /x: no query that is known/,
  );
});

async function served(
  context: TestContext,
  url: string,
  range: { from?: number; to?: number },
): Promise<string> {
  const server = await servePreview({ url, port: 0, ...range });
  context.after(() => server.close());
  context.after(() => server.closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("the preview has Grafana's URLs, and the data of the dashboard for the range and the variables", async (context) => {
  const { url, requests } = await prometheus(context, {
    series: [{ vm: 'db', instance: 'kvm1:9954', job: 'kvm' }],
    query: { result: [] },
    query_range: { result: [] },
  });
  const base = await served(context, url, { from: 1000, to: 4600 });
  assert.equal((await fetch(base, { redirect: 'manual' })).headers.get('location'), '/d/kvm-fleet');
  assert.match(await (await fetch(`${base}/d/kvm-vm`)).text(), /<html/);
  for (const file of ['page.css', 'vendor/uplot.js', 'vendor/uplot.css'])
    assert.equal((await fetch(`${base}/page/${file}`)).status, 200, file);
  const of = async (path: string): Promise<Preview> =>
    (await (await fetch(`${base}${path}`)).json()) as Preview;
  const preview = await of('/api/d/kvm-vm?var-vm=db&var-vm=web&other=1');
  assert.deepEqual([preview.from, preview.to, preview.marks], [1000, 4600, []]);
  assert.equal(preview.variables.find(({ label }) => label === 'VM')?.value, 'db + web');
  assert.equal(preview.variables.find(({ label }) => label === 'Instance')?.value, 'All');
  assert.ok(preview.panels.some(({ type, title }) => type === 'timeseries' && title !== ''));
  assert.ok(preview.others.some(({ url: link }) => link === '/d/kvm-host'));
  assert.ok(requests.some(({ parameters }) => parameters['query']?.includes('vm=~"(db|web)"')));
  const other = await of('/api/d/kvm-fleet?from=100&to=200');
  assert.deepEqual([other.from, other.to], [100, 200]);
});

test('without a range the last hour is shown; an error is text', async (context) => {
  const { url } = await prometheus(context, {
    series: [],
    query: { result: [] },
    query_range: { result: [] },
  });
  const base = await served(context, url, {});
  const { from, to } = (await (await fetch(`${base}/api/d/kvm-fleet`)).json()) as Preview;
  assert.equal(to - from, 3600);
  assert.ok(Math.abs(to - Date.now() / 1000) < 600);
  const missing = await fetch(`${base}/api/d/kvm-typo`);
  assert.deepEqual([missing.status, await missing.json()], [502, { error: 'Error: no dashboard kvm-typo' }]);
});

test('the preview opens a collapsed row, and the panels below move down', () => {
  const at = (type: string, y: number, h: number, panels: object[] = []) =>
    ({ type, gridPos: { x: 0, y, w: 24, h }, panels }) as unknown as RowPanel;
  const inside = [at('timeseries', 5, 8), at('timeseries', 13, 4)];
  const places = opened([
    at('row', 0, 1),
    at('stat', 1, 3),
    at('row', 4, 1, inside),
    at('row', 5, 1),
    at('stat', 6, 2),
  ]).map(({ type, gridPos }) => `${type} ${gridPos?.y}`);
  assert.deepEqual(places, [
    'row 0',
    'stat 1',
    'row 4',
    'timeseries 5',
    'timeseries 13',
    'row 17',
    'stat 18',
  ]);
});
