import assert from 'node:assert/strict';
import { get as httpGet } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { RequestHandler } from 'express';
import { Registry } from 'prom-client';
import { EventLog } from '../../../exporter/assessment/event-log.ts';
import { type AppDependencies, createApp, scrapeTimeout } from '../../../exporter/http/app.ts';
import type { Family } from '../../../exporter/metrics/families.ts';
import { HostHistory } from '../../../exporter/page/history/host-history.ts';
import { type PageDependencies, pageRoutes } from '../../../exporter/page/routes.ts';
import type { ScrapeResult } from '../../../exporter/scrape/scrape.ts';
import { request } from '../../../testing/http-request.ts';

const TEXT = 'text/plain; version=0.0.4; charset=utf-8';
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

function family(series: number): Family {
  return {
    name: 'kvm_x_total',
    type: 'counter',
    help: 'X.',
    labels: Array.from({ length: series }, (_, i) => `vm="web-${i}"`),
    values: Array.from({ length: series }, (_, i) => i),
    suffixes: [],
  };
}

interface Started {
  readonly url: string;
  readonly port: number;
  readonly errors: unknown[];
}

const history = new HostHistory({ onEvent: () => undefined, everyMs: () => 10_000 });

function pageOf(feed: PageDependencies['feed'], events = new EventLog(Date.now)): RequestHandler {
  return pageRoutes({ feed, events, history, telemetryPath: '/metrics' });
}

async function start(context: TestContext, parts: Partial<AppDependencies> = {}): Promise<Started> {
  const errors: unknown[] = [];
  const log = (...entry: unknown[]): void => void errors.push(entry);
  const app = createApp({
    logger: { debug: () => undefined, warn: log, error: log },
    scrape: async () => ({ families: [family(1)], results: new Map() }),
    own: new Registry(),
    inventory: () => ({ vms: [] }),
    isReady: () => true,
    reload: undefined,
    telemetryPath: '/metrics',
    page: pageOf({ open: () => false }),
    authenticate: (_request, _response, next) => next(),
    ...parts,
  });
  const server = app.listen(0, '127.0.0.1');
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port, errors };
}

const ACCEPTED: [string | undefined, string][] = [
  [undefined, TEXT],
  ['*/*', TEXT],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', TEXT],
  ['text/plain', TEXT],
  ['application/json', TEXT],
  ['nonsense;;;,=', TEXT],
  ['application/openmetrics-text', OPENMETRICS],
  ['application/openmetrics-text; version=1.0.0; charset=utf-8', OPENMETRICS],
  ['application/openmetrics-text;version=0.0.1', TEXT],
  ['application/openmetrics-text;q=0.1,text/plain;q=0.9', TEXT],
  // Prometheus 2.42
  [
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    OPENMETRICS,
  ],
  // Prometheus 3.5
  [
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
    OPENMETRICS,
  ],
  // Prometheus with scrape_protocols: [PrometheusText0.0.4]
  ['text/plain;version=0.0.4;q=0.5,*/*;q=0.1', TEXT],
];

for (const [accept, contentType] of ACCEPTED) {
  test(`Accept: ${accept} is answered with ${contentType}`, async (context) => {
    const { url } = await start(context);
    const { status, headers, body } = await request(`${url}/metrics`, accept === undefined ? {} : { accept });
    assert.equal(status, 200);
    assert.equal(headers['content-type'], contentType);
    assert.match(headers.vary ?? '', /\bAccept\b(?!-)/);
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(body.toString().endsWith('# EOF\n'), contentType === OPENMETRICS);
  });
}

for (const accept of ['text/plain', 'application/openmetrics-text']) {
  test(`${accept} is compressed only on request`, async (context) => {
    const scrape = async () => ({ families: [family(5000)], results: new Map() });
    const { url } = await start(context, { scrape });
    const plain = await request(`${url}/metrics`, { accept });
    assert.equal(plain.headers['content-encoding'], undefined);
    const zipped = await request(`${url}/metrics`, { accept, 'accept-encoding': 'gzip' });
    assert.equal(zipped.headers['content-encoding'], 'gzip');
    assert.match(zipped.headers.vary ?? '', /Accept-Encoding/);
    assert.ok(zipped.body.length * 5 < plain.body.length);
    assert.deepEqual(gunzipSync(zipped.body), plain.body);
    const refused = await request(`${url}/metrics`, { accept, 'accept-encoding': 'gzip;q=0, identity' });
    assert.equal(refused.headers['content-encoding'], undefined);
  });
}

test('a slow reader gets a long compressed response completely, without a leaked listener for each chunk', async (context) => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  context.after(() => process.off('warning', onWarning));
  const random = { ...family(150_000), values: Array.from({ length: 150_000 }, Math.random) };
  const { url } = await start(context, { scrape: async () => ({ families: [random], results: new Map() }) });
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    httpGet(`${url}/metrics`, { headers: { 'accept-encoding': 'gzip' } }, async (response) => {
      for await (const chunk of response) {
        chunks.push(chunk as Buffer);
        if (chunks.length % 8 === 0) await sleep(1);
      }
      resolve();
    }).on('error', reject);
  });
  assert.equal(gunzipSync(Buffer.concat(chunks)).toString().split('\n').length, 150_003);
  assert.deepEqual(warnings.map(String), []);
});

test('HEAD gives the headers without collecting', async (context) => {
  let scrapes = 0;
  const scrape = async () => {
    scrapes++;
    return { families: [], results: new Map() };
  };
  const { url } = await start(context, { scrape });
  const { status, headers, body } = await request(`${url}/metrics`, {}, 'HEAD');
  assert.deepEqual([status, headers['content-type'], body.length, scrapes], [200, TEXT, 0, 0]);
});

test('another method is refused with those that are allowed; an unknown path is not found', async (context) => {
  const { url } = await start(context);
  const paths = [
    '/',
    '/metrics',
    '/-/healthy',
    '/-/ready',
    '/api/v1/inventory',
    '/api/v1/live',
    '/api/v1/events',
  ];
  for (const path of paths) {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const { status, headers } = await request(`${url}${path}`, {}, method);
      assert.deepEqual([status, headers.allow], [405, 'GET, HEAD'], `${method} ${path}`);
    }
  }
  for (const path of [
    '/metric',
    '/metrics/x',
    '/-/',
    '/../etc/passwd',
    '/%',
    '/%2e%2e/%00',
    '/assets/../package.json',
  ]) {
    assert.equal((await request(`${url}${path}`)).status, 404, path);
  }
});

test('a reload requires POST, and must be enabled', async (context) => {
  const disabled = await start(context);
  assert.equal((await request(`${disabled.url}/-/reload`, {}, 'POST')).status, 403);
  assert.equal((await request(`${disabled.url}/-/reload`)).status, 405);
  let problem: string | undefined;
  const enabled = await start(context, { reload: async () => problem });
  const get = await request(`${enabled.url}/-/reload`);
  assert.deepEqual([get.status, get.headers.allow], [405, 'POST']);
  assert.equal((await request(`${enabled.url}/-/reload`, {}, 'POST')).status, 200);
  problem = 'log.level: "x" is not allowed';
  const broken = await request(`${enabled.url}/-/reload`, {}, 'POST');
  assert.deepEqual([broken.status, String(broken.body)], [500, `Not reloaded: ${problem}\n`]);
});

test('ready follows the inventory; healthy does not', async (context) => {
  let ready = false;
  const { url } = await start(context, { isReady: () => ready });
  assert.equal((await request(`${url}/-/ready`)).status, 503);
  assert.equal((await request(`${url}/-/healthy`)).status, 200);
  ready = true;
  assert.equal((await request(`${url}/-/ready`)).status, 200);
});

test("the collection gets Prometheus' timeout, less the time to send the response", async (context) => {
  const granted: number[] = [];
  const scrape = async (timeoutMs: number) => {
    granted.push(timeoutMs);
    return { families: [], results: new Map() };
  };
  const { url } = await start(context, { scrape });
  await request(`${url}/metrics`, { 'X-Prometheus-Scrape-Timeout-Seconds': '5' });
  await request(`${url}/metrics`);
  assert.deepEqual(granted, [4500, 9500]);
});

test('an invalid, tiny or huge timeout becomes a usable one', () => {
  for (const wrong of [undefined, '', 'x', '-1', '0', 'NaN', '1'.repeat(40)]) {
    assert.equal(scrapeTimeout(wrong), 9500, wrong);
  }
  assert.equal(scrapeTimeout('0.2'), 500, 'a floor');
  assert.equal(scrapeTimeout('0.000001'), 500);
  assert.equal(scrapeTimeout('1'), 500);
  assert.equal(scrapeTimeout('Infinity'), 119_500);
});

test('a failure is an internal error without details, is logged, and affects only its request', async (context) => {
  let fails = true;
  const scrape = async () => {
    if (fails) throw new Error('secret detail');
    return { families: [], results: new Map() };
  };
  const { url, errors } = await start(context, { scrape });
  const failed = await request(`${url}/metrics`);
  assert.deepEqual([failed.status, String(failed.body)], [500, 'Internal error.\n']);
  assert.equal(errors.length, 1);
  fails = false;
  assert.equal((await request(`${url}/metrics`)).status, 200);
});

test('a failure in the middle of a response ends the connection, so that the client detects the truncation', async (context) => {
  const broken = family(5000);
  Object.defineProperty(broken.values, 4500, {
    get() {
      throw new Error('gone');
    },
  });
  const { url, errors } = await start(context, {
    scrape: async () => ({ families: [broken], results: new Map() }),
  });
  await assert.rejects(request(`${url}/metrics`));
  assert.equal(errors.length, 1);
});

test('a client that disconnects during a collection has no effect', async (context) => {
  let finish = (): void => undefined;
  const scrape = () =>
    new Promise<ScrapeResult>((resolve) => {
      finish = () => resolve({ families: [family(50_000)], results: new Map() });
    });
  const { port, url, errors } = await start(context, { scrape });
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n');
  await sleep(50);
  socket.destroy();
  await sleep(50);
  finish();
  await sleep(50);
  assert.deepEqual(errors, []);
  assert.equal((await request(`${url}/-/healthy`)).status, 200);
});

test('a client that stops reading in the middle is disconnected', async (context) => {
  let letGo = (): void => undefined;
  const isLetGo = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const { port, errors } = await start(context, {
    scrape: async () => ({ families: [family(500_000)], results: new Map() }),
    stallMs: 200,
    authenticate: (_request, response, next) => {
      response.once('close', letGo);
      next();
    },
  });
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
  socket.pause();
  await isLetGo;
  let size = 0;
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('data', (chunk) => {
    size += chunk.length;
  });
  socket.resume();
  await closed;
  assert.ok(size < 10_000_000, `${size} bytes`);
  assert.deepEqual(errors, []);
});

test('the page works without TLS: no header turns its links into https', async (context) => {
  const { url } = await start(context);
  const { headers } = await request(`${url}/`);
  assert.match(headers['content-type'] ?? '', /^text\/html/);
  assert.doesNotMatch(String(headers['content-security-policy']), /upgrade-insecure-requests/);
  assert.equal(headers['strict-transport-security'], undefined);
  assert.equal(headers['x-powered-by'], undefined);
  assert.equal(headers['x-content-type-options'], 'nosniff');
});

test('a client without a login gets no data', async (context) => {
  const { url } = await start(context, {
    authenticate: (_request, response) => void response.status(401).send('Unauthorized.\n'),
  });
  const paths = ['/', '/metrics', '/-/healthy', '/-/ready', '/-/reload', '/api/v1/inventory', '/none'];
  const more = ['/api/v1/live', '/api/v1/events', '/api/v1/history', '/api/v1/causes', '/assets/main.js'];
  for (const path of [...paths, ...more]) {
    assert.equal((await request(`${url}${path}`)).status, 401, path);
  }
});

test('the page may load only its own files, and nothing inline', async (context) => {
  const { url } = await start(context);
  const { headers, body } = await request(`${url}/`);
  assert.deepEqual(String(headers['content-security-policy']).split(';').sort(), [
    "base-uri 'none'",
    "connect-src 'self'",
    "default-src 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "img-src 'self' data:",
    "require-trusted-types-for 'script'",
    "script-src 'self'",
    "style-src 'self'",
  ]);
  const html = String(body);
  assert.doesNotMatch(html, /<style|<script(?![^>]* src=)| style=| on\w+=|https?:/);
  for (const [, path] of html.matchAll(/(?:src|href)="(\/[^"]*)"/g)) {
    assert.equal(
      (await request(`${url}${path}`, {}, path === '/metrics' ? 'HEAD' : 'GET')).status,
      200,
      path,
    );
  }
});

test('every module that the page imports is served as JavaScript and cached by its ETag', async (context) => {
  const { url } = await start(context);
  const seen = new Set<string>();
  const look = async (path: string): Promise<void> => {
    if (seen.has(path)) return;
    seen.add(path);
    const { status, headers, body } = await request(`${url}${path}`);
    assert.deepEqual([status, headers['content-type']], [200, 'text/javascript; charset=utf-8'], path);
    assert.equal(headers['cache-control'], 'no-cache');
    const again = await request(`${url}${path}`, { 'if-none-match': String(headers.etag) });
    assert.deepEqual([again.status, again.body.length], [304, 0], path);
    assert.doesNotMatch(String(body), /sourceMappingURL/);
    for (const [, to = ''] of String(body).matchAll(/^import .* from ['"](.*)['"];\s*$/gm)) {
      await look(new URL(to, `http://x${path}`).pathname);
    }
  };
  await look('/assets/main.js');
  assert.ok(seen.has('/assets/vendor/uplot.js') && seen.size > 15, [...seen].join(' '));
});

test('the live feed needs a place, and HEAD takes none', async (context) => {
  const asked: unknown[] = [];
  const { url } = await start(context, {
    page: pageOf({
      open: (response, vm) => {
        asked.push(vm);
        if (vm === undefined) return false;
        response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-transform' });
        response.end('data: 1\n\n');
        return true;
      },
    }),
  });
  const refused = await request(`${url}/api/v1/live`);
  assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '10']);
  const live = await request(`${url}/api/v1/live?vm=a%20b`, { 'accept-encoding': 'gzip' });
  assert.deepEqual(
    [live.status, live.headers['content-encoding'], String(live.body)],
    [200, undefined, 'data: 1\n\n'],
  );
  await request(`${url}/api/v1/live?vm=a&vm=b`);
  await request(`${url}/api/v1/live?vm=${'x'.repeat(5000)}`);
  assert.equal((await request(`${url}/api/v1/live`, {}, 'HEAD')).status, 200);
  assert.deepEqual(asked, [undefined, 'a b', undefined, undefined]);
});

test('events: the newest that match, oldest first', async (context) => {
  let now = Date.parse('2026-11-27T04:00:00Z');
  const log = new EventLog(() => now);
  for (const vm of ['db', 'web', 'db']) {
    log.add({ kind: 'drift_began', vm, what: 'vcpu0 lost pin', evidence: 'may run on CPUs 0-7' });
    now += 60_000;
  }
  const { url } = await start(context, { page: pageOf({ open: () => false }, log) });
  const found = async (query: string): Promise<unknown> =>
    (JSON.parse(String((await request(`${url}/api/v1/events${query}`)).body)) as { events: unknown }).events;
  const event = (id: number, minute: number, vm: string): object => ({
    id,
    time: `2026-11-27T04:0${minute}:00.000Z`,
    vm,
    kind: 'drift_began',
    what: 'vcpu0 lost pin',
    evidence: 'may run on CPUs 0-7',
  });
  const [first, second, third] = [event(1, 0, 'db'), event(2, 1, 'web'), event(3, 2, 'db')];
  assert.deepEqual(await found(''), [first, second, third]);
  assert.deepEqual(await found('?vm=db'), [first, third]);
  assert.deepEqual(await found('?limit=1'), [third]);
  assert.deepEqual(await found('?since=2026-11-27T04:01:00Z'), [second, third]);
  assert.deepEqual(await found(`?since=${Date.parse('2026-11-27T04:01:30Z') / 1000}&vm=web`), []);
});

test('the causes of an unknown VM are an error', async (context) => {
  const { url } = await start(context);
  const { body } = await request(`${url}/api/v1/causes?vm=db`);
  const nothing = { vm: 'db', pid: null, isKnown: false, causes: [], unknown: [] };
  assert.deepEqual(JSON.parse(String(body)), nothing);
});

const REFUSED: [string, RegExp][] = [
  ['events?limit=0', /^limit is "0": give a number from 1 to 1000\.\n$/],
  ['events?limit=1001', /^limit is "1001"/],
  ['events?limit=1e2', /^limit is "1e2"/],
  ['events?limit=1&limit=2', /^Give limit once\.\n$/],
  ['events?since=yesterday', /^since is "yesterday": give seconds of the epoch, or a time such as/],
  ['events?since=2026-13-40T99:99:99Z', /^since is "2026-13-40T99:99:99Z"/],
  ['events?vm=', /^vm is the name of a VM/],
  [`events?vm=${'x'.repeat(513)}`, /^vm is the name of a VM/],
  ['events?form=1', /^"form" is not a parameter: use vm, since, limit\.\n$/],
  ['causes', /^Give the name of a VM: \?vm=NAME\.\n$/],
  ['causes?vm=', /^vm is the name of a VM/],
  ['history?since=1', /^"since" is not a parameter: use vm\.\n$/],
];
for (const [path, expected] of REFUSED) {
  test(`one clear error: ${path.slice(0, 40)}`, async (context) => {
    const { url } = await start(context);
    const { status, body } = await request(`${url}/api/v1/${path}`);
    assert.equal(status, 400);
    assert.match(String(body), expected);
  });
}
