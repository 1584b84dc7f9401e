import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Counter, Registry } from 'prom-client';
import { createOwnMetrics } from '../../../exporter/daemon/own-metrics.ts';
import { type ContentType, exposition } from '../../../exporter/http/exposition.ts';
import { catalogue } from '../../../exporter/metrics/catalogue.ts';
import type { Family } from '../../../exporter/metrics/families.ts';
import { labelBlock } from '../../../exporter/metrics/labels.ts';
import { checkOpenMetrics } from '../../../testing/openmetrics.ts';
import { hasTool } from '../../../testing/tools.ts';

const TEXT = Registry.PROMETHEUS_CONTENT_TYPE;
const OPENMETRICS = Registry.OPENMETRICS_CONTENT_TYPE;

async function render(
  families: readonly Family[],
  contentType: ContentType,
  own = new Registry(),
): Promise<string> {
  let text = '';
  for await (const chunk of exposition(families, own, contentType)) text += chunk;
  return text;
}

const HOSTILE = [
  'plain',
  'a"b',
  'a\\b',
  'a\nb',
  'a\\',
  '"',
  '\\n',
  '🐧',
  'é',
  '{x="y"} 1',
  '',
  ' ',
  '\ud800',
  '\t\r',
  '\u001b[31m',
  '\u009b2J',
  'c\u202ed',
];

function counter(): Family {
  return {
    name: 'kvm_vm_exits_total',
    type: 'counter',
    help: 'Exits, "all" of them: \\ and\nmore.',
    labels: HOSTILE.map((vm) => labelBlock({ vm })),
    values: HOSTILE.map((_, i) => i),
    suffixes: [],
  };
}

function gauge(values: number[]): Family {
  return {
    name: 'kvm_gauge',
    type: 'gauge',
    help: 'G.',
    labels: values.map((_, i) => (i === 0 ? '' : `i="${i}"`)),
    values,
    suffixes: [],
  };
}

/** Own metrics with one counter that has labels and one that has not. */
function ownMetrics(): Registry {
  const { registry, scrapesCoalesced } = createOwnMetrics();
  scrapesCoalesced.inc(3);
  new Counter({ name: 'x_total', help: 'X.', labelNames: ['l'], registers: [registry] }).inc({
    l: 'a"b\\c\nd',
  });
  return registry;
}

test('text format: a counter keeps its suffix in HELP and TYPE', async () => {
  assert.equal(
    await render([{ ...gauge([1]), name: 'kvm_x_total', type: 'counter' }], TEXT),
    '# HELP kvm_x_total G.\n# TYPE kvm_x_total counter\nkvm_x_total 1\n',
  );
});

test('OpenMetrics: a counter has its suffix at the samples only, and the end is marked', async () => {
  assert.equal(
    await render([{ ...gauge([1]), name: 'kvm_x_total', type: 'counter' }], OPENMETRICS),
    '# HELP kvm_x G.\n# TYPE kvm_x counter\nkvm_x_total 1\n# EOF\n',
  );
});

test('label values of any kind are cleaned and escaped, and unescaping restores them', async () => {
  for (const contentType of [TEXT, OPENMETRICS] as const) {
    const lines = (await render([counter()], contentType))
      .split('\n')
      .filter((line) => line.startsWith('kvm_'));
    const values = lines.map((line) =>
      (/^kvm_vm_exits_total\{vm="((?:[^"\\]|\\[\\"n])*)"\} \d+$/.exec(line)?.[1] ?? `?? ${line}`).replace(
        /\\(.)/g,
        (_, character) => (character === 'n' ? '\n' : character),
      ),
    );
    assert.deepEqual(
      values,
      HOSTILE.map((value) => value.replace(/[\p{Cc}\p{Cs}\p{Bidi_C}]/gu, '?')),
    );
  }
});

test('help is escaped as each format requires', async () => {
  assert.match(
    await render([counter()], TEXT),
    /^# HELP kvm_vm_exits_total Exits, "all" of them: \\\\ and\\nmore\.$/m,
  );
  assert.match(
    await render([counter()], OPENMETRICS),
    /^# HELP kvm_vm_exits Exits, \\"all\\" of them: \\\\ and\\nmore\.$/m,
  );
});

test('large, small and negative values are written as Prometheus reads them', async () => {
  const values = [0, 1e21, 5e-324, -1.5, 2 ** 53, 0.1, 1.7976931348623157e308];
  const text = await render([gauge(values)], OPENMETRICS);
  checkOpenMetrics(text);
  const read = text
    .split('\n')
    .filter((line) => line.startsWith('kvm_'))
    .map((line) => Number(line.split(' ').at(-1)));
  assert.deepEqual(read, values);
});

test('a family longer than a chunk is complete and in order', async () => {
  const text = await render([gauge(Array.from({ length: 2500 }, (_, i) => i))], TEXT);
  const values = text
    .split('\n')
    .slice(2, -1)
    .map((line) => Number(line.split(' ')[1]));
  assert.deepEqual(
    values,
    Array.from({ length: 2500 }, (_, i) => i),
  );
});

test('a histogram has its suffixes at the samples, in both formats', async () => {
  const histogram: Family = {
    name: 'kvm_x_seconds',
    type: 'histogram',
    help: 'X.',
    labels: ['vm="a",le="0.5"', 'vm="a",le="+Inf"', 'vm="a"', 'vm="a"'],
    values: [1, 2, 3.5, 2],
    suffixes: ['_bucket', '_bucket', '_sum', '_count'],
  };
  const expected = [
    '# HELP kvm_x_seconds X.',
    '# TYPE kvm_x_seconds histogram',
    'kvm_x_seconds_bucket{vm="a",le="0.5"} 1',
    'kvm_x_seconds_bucket{vm="a",le="+Inf"} 2',
    'kvm_x_seconds_sum{vm="a"} 3.5',
    'kvm_x_seconds_count{vm="a"} 2',
    '',
  ].join('\n');
  assert.equal(await render([histogram], TEXT), expected);
  assert.equal(await render([histogram], OPENMETRICS), `${expected}# EOF\n`);
});

test('a family without samples is a header and no error', async () => {
  checkOpenMetrics(await render([gauge([])], OPENMETRICS));
});

test('formats can be requested in any order and at the same time: names do not change', async () => {
  const own = ownMetrics();
  // Open handles and garbage collections change from one moment to the next.
  const withoutValues = (text: string): string =>
    text.replace(/^nodejs_(active|gc)_.*\n/gm, '').replace(/^([^#].*) \S+$/gm, '$1');
  const before = withoutValues(await render([counter()], TEXT, own));
  const openMetrics = await render([counter()], OPENMETRICS, own);
  await Promise.all([
    render([counter()], OPENMETRICS, own),
    render([counter()], TEXT, own),
    render([counter()], OPENMETRICS, own),
  ]);
  const after = withoutValues(await render([counter()], TEXT, own));
  assert.equal(after, before);
  assert.match(after, /^# TYPE kvm_telemetry_scrapes_coalesced_total counter$/m);
  assert.match(
    openMetrics,
    /^# TYPE kvm_telemetry_scrapes_coalesced counter\nkvm_telemetry_scrapes_coalesced_total 3$/m,
  );
  assert.equal(withoutValues(await render([counter()], OPENMETRICS, own)), withoutValues(openMetrics));
});

test("OpenMetrics is valid by the specification, the exporter's own metrics included", async () => {
  const families = checkOpenMetrics(await render([counter(), gauge([1, 2])], OPENMETRICS, ownMetrics()));
  assert.equal(families.get('kvm_vm_exits'), 'counter');
  assert.equal(families.get('process_cpu_seconds'), 'counter');
  assert.equal(families.get('kvm_telemetry_scrape_duration_seconds'), 'histogram');
});

test('no two metrics of the catalogue are the same family in OpenMetrics', () => {
  const names = Object.entries(catalogue).map(([name, { type }]) => {
    if (type === 'counter') assert.match(name, /_total$/);
    return type === 'counter' ? name.replace(/_total$/, '') : name;
  });
  assert.equal(new Set(names).size, names.length);
});

test('the checker of this test refuses invalid text', () => {
  const head = '# HELP a A.\n# TYPE a counter\n';
  checkOpenMetrics(`${head}a_total 1\n# EOF\n`);
  for (const wrong of [
    `${head}a_total 1\n`,
    `${head}a 1\n# EOF\n`,
    `${head}a_total 1\n\n# EOF\n`,
    `${head}a_total 1\na_total 1\n# EOF\n`,
    `${head}a_total{l="x"y"} 1\n# EOF\n`,
    `${head}a_total{l="x\\y"} 1\n# EOF\n`,
    `${head}a_total{l="x",l="y"} 1\n# EOF\n`,
    `${head}a_total -1\n# EOF\n`,
    `${head}a_total 1\n# HELP b B.\n# TYPE b gauge\nb 1\n${head}a_total{l="x"} 1\n# EOF\n`,
    '# HELP a_total A.\n# TYPE a_total counter\na_total 1\n# EOF\n',
  ]) {
    assert.throws(() => checkOpenMetrics(wrong), Error, wrong);
  }
});

function promtool(context: TestContext, args: string[], input: string): void {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  context.diagnostic(`promtool ${args.slice(0, 2).join(' ')}: exit ${status}`);
  assert.deepEqual([status, stderr], [0, ''], stdout);
}

test('promtool reports no problem in the text format', async (context) => {
  if (!hasTool(context, 'promtool', 'prometheus')) return;
  const sound = { ...counter(), help: 'Exits.' };
  promtool(context, ['check', 'metrics'], await render([sound], TEXT, createOwnMetrics().registry));
});

test("Prometheus' parser takes the OpenMetrics text", async (context) => {
  if (!hasTool(context, 'promtool', 'prometheus')) return;
  const folder = mkdtempSync(join(tmpdir(), 'kt-om-'));
  try {
    const text = await render([counter(), gauge([1, 2])], OPENMETRICS, ownMetrics());
    // The tool imports history, so each sample needs a time.
    writeFileSync(join(folder, 'in.om'), text.replace(/^([^#].*)$/gm, '$1 1700000000'));
    promtool(
      context,
      ['tsdb', 'create-blocks-from', 'openmetrics', '-q', join(folder, 'in.om'), join(folder, 'out')],
      '',
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
