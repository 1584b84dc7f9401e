import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { type TestContext, test } from 'node:test';
import { instanceFilter, PrometheusAlerts } from '../../../exporter/page/alerts.ts';
import { FIRST_STEPS } from '../../../exporter/page/first-steps.ts';
import { httpServer } from '../../../testing/http-server.ts';
import { until } from '../../../testing/patience.ts';
import { spawnPrometheus } from '../../../testing/prometheus.ts';
import { hasTool } from '../../../testing/tools.ts';

async function served(context: TestContext, handle: RequestListener): Promise<string> {
  return `${await httpServer(context, handle)}/prefix/`;
}

interface Started {
  readonly alerts: PrometheusAlerts;
  readonly lines: string[];
  /** A refresh after this many milliseconds. */
  after(ms: number): Promise<void>;
}

/** @param timeoutMs short only where no response is expected: a busy machine may take longer */
function start(url: string, timeoutMs = 10_000): Started {
  let now = 0;
  const lines: string[] = [];
  const alerts = new PrometheusAlerts({
    url,
    isOurs: (instance) => instance === 'me:9954',
    logger: { warn: (_, text) => lines.push(text), info: (text) => lines.push(text) },
    now: () => now,
    timeoutMs,
  });
  return {
    alerts,
    lines,
    after(ms) {
      now += ms;
      return alerts.refresh();
    },
  };
}

const alert = (labels: object, state = 'firing'): object => ({
  labels: { instance: 'me:9954', severity: 'warning', ...labels },
  annotations: { summary: 'It storms.' },
  state,
  activeAt: '2026-11-27T04:00:00Z',
});

test('firing alerts of this exporter, at most every 15 s', async (context) => {
  let requests = 0;
  const url = await served(context, (request, response) => {
    requests++;
    assert.equal(request.url, '/prefix/api/v1/alerts');
    const all = [
      alert({ alertname: 'KvmExitStorm', vm: "d'b" }),
      alert({ alertname: '__proto__' }),
      alert({ alertname: 'KvmPending' }, 'pending'),
      alert({ alertname: 'KvmOther', instance: 'you:9954' }),
    ];
    response.end(JSON.stringify({ status: 'success', data: { alerts: all } }));
  });
  const { alerts, after } = start(url);
  await after(0);
  await after(14_000);
  assert.equal(requests, 1);
  const since = Date.parse('2026-11-27T04:00:00Z');
  const common = { severity: 'warning', summary: 'It storms.', since };
  const steps = ["vm='d'\\''b'", ...(FIRST_STEPS['KvmExitStorm']?.lines ?? [])];
  assert.deepEqual(alerts.current, {
    alerts: [
      { name: 'KvmExitStorm', vm: "d'b", ...common, steps },
      { name: '__proto__', vm: undefined, ...common, steps: [] },
    ],
    problem: undefined,
  });
  await after(1000);
  assert.equal(requests, 2);
});

const BROKEN: [string, RequestListener, RegExp][] = [
  ['an error', (_, response) => void response.writeHead(502).end(), /^status 502$/],
  [
    'no JSON',
    (_, response) => void response.end('<html>'),
    /^the response is not JSON: is it a Prometheus\?$/,
  ],
  ['other JSON', (_, response) => void response.end('{}'), /^the response has no alerts/],
  ['no end', () => undefined, /^no response in 0\.3 s$/],
  ['a redirect', (_, response) => void response.writeHead(302, { Location: '/' }).end(), /^status 302$/],
  [
    'too much',
    (_, response) => void response.end('x'.repeat(5e6)),
    /^the response is larger than 4194304 bytes$/,
  ],
];
for (const [what, handle, expected] of BROKEN) {
  test(`${what} is one reason and one log line`, async (context) => {
    const { alerts, lines, after } = start(
      await served(context, handle),
      what === 'no end' ? 300 : undefined,
    );
    await after(0);
    await after(20_000);
    assert.match(alerts.current?.problem ?? '', expected);
    assert.deepEqual(lines, ['cannot read the alerts of Prometheus']);
  });
}

test('a Prometheus that is not there', async () => {
  const { alerts, lines, after } = start('http://127.0.0.1:1');
  await after(0);
  assert.match(alerts.current?.problem ?? '', /ECONNREFUSED|bad port/);
  await after(20_000);
  assert.equal(lines.length, 1);
});

test('the label instance names this host by name or address, and its port', () => {
  const isOurs = instanceFilter(
    () => ['node-7', '10.0.0.7', 'fe80::7', 'localhost'],
    () => [9954],
  );
  for (const instance of ['node-7:9954', 'NODE-7:9954', '10.0.0.7:9954', '[fe80::7]:9954', 'localhost:9954'])
    assert.ok(isOurs(instance, 'Any'), instance);
  assert.ok(isOurs('node-7:443', 'KvmExitStorm'), 'behind a proxy');
  assert.ok(isOurs('node-7', 'KvmExitStorm'), 'relabelled');
  for (const instance of ['node-7:9100', 'node-8:9954', '', '10.0.0.70:9954'])
    assert.equal(isOurs(instance, 'NodeDown'), false, instance);
});

test("Debian's Prometheus", async (context) => {
  if (!hasTool(context, 'prometheus', 'prometheus')) return;
  const rules = {
    groups: [
      {
        name: 'test',
        interval: '1s',
        rules: [
          {
            alert: 'KvmTest',
            expr: 'vector(1)',
            labels: { instance: 'me:9954', vm: 'db', severity: 'critical' },
            annotations: { summary: 'Fires with value {{ $value }}.' },
          },
        ],
      },
    ],
  };
  const config = (folder: string): string => JSON.stringify({ rule_files: [`${folder}/rules.yml`] });
  const folder = mkdtempSync('/tmp/kt-rules-');
  context.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(`${folder}/rules.yml`, JSON.stringify(rules));
  const { url } = await spawnPrometheus(context, config(folder), (data) => [
    `--storage.tsdb.path=${data}/data`,
  ]);
  const { alerts, after } = start(url);
  await until(async () => {
    await after(15_000);
    return (alerts.current?.alerts.length ?? 0) > 0;
  });
  const [found] = alerts.current?.alerts ?? [];
  assert.deepEqual(
    [found?.name, found?.vm, found?.severity, found?.summary],
    ['KvmTest', 'db', 'critical', 'Fires with value 1.'],
  );
});
