import assert from 'node:assert/strict';
import { createServer, get, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Families } from '../../../exporter/metrics/families.ts';
import { Feed, type FeedDependencies, MAX_CLIENTS } from '../../../exporter/page/feed.ts';
import type { ScrapeResult } from '../../../exporter/scrape/scrape.ts';
import { until } from '../../../testing/patience.ts';

const TIMES = { fastestMs: 40, slowestMs: 200, stallMs: 300, heartbeatMs: 10_000 };

interface Event {
  readonly event: string;
  readonly data: Record<string, unknown>;
}

function result(names: readonly string[], padding = ''): ScrapeResult {
  const families = new Families(100_000);
  for (const vm of names) {
    families.add(
      'kvm_vm_info',
      { vm, name: vm, uuid: '', vmm: `qemu${padding}`, manager: '', accel: 'kvm', machine: '', pid: '1' },
      1,
    );
  }
  return { families: families.sorted(), results: new Map() };
}

interface Started {
  readonly feed: Feed;
  readonly url: string;
  readonly port: number;
  scrapes(): number;
}

async function start(context: TestContext, parts: Partial<FeedDependencies> = {}): Promise<Started> {
  let scrapes = 0;
  const { scrape = async () => result(['web', 'db']), ...rest } = parts;
  const feed = new Feed({
    scrape: (timeoutMs) => {
      scrapes++;
      return scrape(timeoutMs);
    },
    sources: () => [],
    report: () => Promise.resolve(undefined),
    verdicts: () => new Map(),
    events: { find: () => [], count: 0 },
    alerts: undefined,
    facts: { name: undefined, kernel: undefined, grafanaUrl: undefined },
    logger: { warn: () => undefined, debug: () => undefined },
    now: Date.now,
    times: TIMES,
    ...rest,
  });
  const server = createServer((request, response) => {
    const vm = new URL(request.url ?? '/', 'http://x').searchParams.get('vm') ?? undefined;
    if (!feed.open(response, vm, request.headers['x-peer']?.toString() ?? '')) response.writeHead(503).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    feed.close();
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { feed, port, url: `http://127.0.0.1:${port}`, scrapes: () => scrapes };
}

function listen(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, resolve).on('error', reject);
  });
}

/** The first events of a stream, as the standard's framing has them. */
async function events(stream: IncomingMessage, count: number): Promise<Event[]> {
  const found: Event[] = [];
  let text = '';
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
      if (event !== undefined && data !== undefined) found.push({ event, data: JSON.parse(data) });
    }
    if (found.length >= count) break;
  }
  return found;
}

test('a page receives the host once, and the VMs and its own VM at each collection', async (context) => {
  const { url, feed } = await start(context);
  const stream = await listen(`${url}/?vm=db`);
  assert.equal(stream.headers['content-type'], 'text/event-stream; charset=utf-8');
  assert.match(String(stream.headers['cache-control']), /no-store.*no-transform/);
  const heard = await events(stream, 7);
  const order = heard.map(({ event, data }) => (event === 'detail' ? `detail ${data['vm']}` : event));
  // With so few VMs, all are sent in detail.
  assert.deepEqual(order.slice(0, 7), [
    'host',
    'detail web',
    'detail db',
    'vms',
    'detail web',
    'detail db',
    'vms',
  ]);
  assert.equal(feed.clients, 1);
  stream.destroy();
});

test('on a host with many VMs, a page receives details of its own VM only', async (context) => {
  const names = Array.from({ length: 40 }, (_, i) => `vm-${i}`);
  const { url } = await start(context, { scrape: async () => result(names) });
  const stream = await listen(`${url}/?vm=vm-7`);
  const other = await listen(`${url}/?vm=none`);
  const order = (await events(stream, 3)).slice(0, 3).map(({ event, data }) => data['vm'] ?? event);
  assert.deepEqual(order, ['host', 'vm-7', 'vms']);
  assert.deepEqual(
    (await events(other, 2)).slice(0, 2).map(({ event }) => event),
    ['host', 'vms'],
  );
  stream.destroy();
  other.destroy();
});

test('collects once for all pages, and only while a page is open', async (context) => {
  const { url, scrapes, feed } = await start(context);
  await sleep(150);
  assert.equal(scrapes(), 0);
  const streams = await Promise.all([listen(url), listen(url), listen(url)]);
  const heard = await Promise.all(streams.map((stream) => events(stream, 12)));
  const told = heard.flat().filter(({ event }) => event === 'vms');
  const collections = new Set(told.map(({ data }) => data['at'])).size;
  assert.ok(collections <= scrapes());
  assert.ok(collections < told.length, `${collections} collections for three pages`);
  for (const stream of streams) stream.destroy();
  await until(() => feed.clients === 0);
  const before = scrapes();
  await sleep(200);
  assert.equal(scrapes(), before);
});

test('slow collections are less frequent', async (context) => {
  const { url } = await start(context, {
    scrape: async () => {
      await sleep(15);
      return result(['web']);
    },
  });
  const stream = await listen(url);
  const [, , vms] = await events(stream, 3);
  assert.ok(Number(vms?.data['everyMs']) >= 140, String(vms?.data['everyMs']));
  stream.destroy();
});

test('too many pages are refused; a closed page frees a place', async (context) => {
  const { url, feed } = await start(context);
  const streams = await Promise.all(Array.from({ length: MAX_CLIENTS }, () => listen(url)));
  assert.equal((await listen(url)).statusCode, 503);
  streams[0]?.destroy();
  await until(() => feed.clients < MAX_CLIENTS);
  const late = await listen(url);
  assert.equal(late.statusCode, 200);
  for (const stream of [...streams, late]) stream.destroy();
});

test('a page that does not read is disconnected and does not affect others', async (context) => {
  const names = Array.from({ length: 2000 }, (_, i) => `vm-${i}`);
  const { port, url, feed } = await start(context, {
    scrape: async () => result(names, 'x'.repeat(2000)),
    // This process is the other page as well, and may be slow.
    times: { ...TIMES, stallMs: 5000 },
  });
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  socket.pause();
  const stream = await listen(url);
  await events(stream, 2);
  while (feed.clients > 1) await events(stream, 1);
  socket.destroy();
  stream.destroy();
});

test('a failed collection is logged; the next one is sent', async (context) => {
  let fails = 2;
  const warnings: unknown[] = [];
  const { url } = await start(context, {
    scrape: async () => {
      if (fails-- > 0) throw new Error('broken');
      return result(['web']);
    },
    logger: { warn: (...entry: unknown[]) => void warnings.push(entry), debug: () => undefined },
  });
  const stream = await listen(url);
  assert.equal((await events(stream, 1))[0]?.event, 'host');
  assert.equal(warnings.length, 2);
  stream.destroy();
});

test('an idle connection has a heartbeat', async (context) => {
  const { url } = await start(context, {
    scrape: () => new Promise(() => undefined),
    times: { ...TIMES, heartbeatMs: 30 },
  });
  const stream = await listen(url);
  let text = '';
  for await (const chunk of stream) {
    text += String(chunk);
    if (text.includes('\n\n:\n\n')) break;
  }
  assert.match(text, /^retry: \d+\n\n:\n\n/);
});

test('shutdown ends every stream at once and refuses new ones', async (context) => {
  const { url, feed, scrapes } = await start(context);
  const stream = await listen(url);
  await events(stream, 2);
  const ended = new Promise((resolve) => stream.resume().once('end', resolve));
  feed.close();
  await ended;
  assert.equal((await listen(url)).statusCode, 503);
  const before = scrapes();
  await sleep(150);
  assert.equal(scrapes(), before);
});

test('if all places are taken, a new address gets one from the address with the most', async (context) => {
  const { url, feed } = await start(context);
  const open = (peer: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      get(url, { agent: false, headers: { 'x-peer': peer } }, resolve).on('error', reject);
    });
  const greedy: IncomingMessage[] = [];
  for (let i = 0; i < MAX_CLIENTS; i++) greedy.push(await open('a'));
  const first = new Promise<void>((resolve) => greedy[0]?.once('close', resolve));
  greedy[0]?.on('error', () => undefined).resume();
  assert.equal((await open('a')).statusCode, 503);
  assert.equal((await open('b')).statusCode, 200);
  await first;
  assert.equal(feed.clients, MAX_CLIENTS);
});
