import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Daemon, startDaemon } from '../../testing/daemon.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { until } from '../../testing/patience.ts';
import { type RawClient, rawClient } from '../../testing/raw-client.ts';

const LONG = { timeout: 120_000 };
const REQUEST = 'GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** With a deadline of its own: a rejected scraper must fail the test, not hang it. */
async function scrape(context: TestContext, daemon: Daemon, from: string): Promise<string> {
  const say = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
  const client = rawClient(context, daemon.url, { from, say });
  let isClosed = false;
  void client.closed.then(() => {
    isClosed = true;
  });
  await until(() => isClosed);
  return client.text();
}

async function openMany(
  context: TestContext,
  daemon: Daemon,
  count: number,
  from: (i: number) => string,
  say: string,
): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let i = 0; i < count; i++) {
    const client = rawClient(context, daemon.url, { from: from(i), say });
    await client.connected;
    clients.push(client);
  }
  return clients;
}

const start = (context: TestContext): Promise<Daemon> =>
  startDaemon(context, [`--path.rootfs=${hostTree(context).folder}`]);
const warnings = (daemon: Daemon): unknown[] =>
  daemon.log.filter(({ msg }) => String(msg).startsWith('too many connections')).map(({ msg }) => msg);

const ATTACKS: [string, string][] = [
  ['that say nothing', ''],
  ['with half a header', 'GET / HTTP/1.1\r\nHost:'],
  ['kept alive', REQUEST],
];
for (const [kind, say] of ATTACKS) {
  test(
    `600 connections ${kind} from many addresses block no scrape and are logged once`,
    LONG,
    async (context) => {
      const daemon = await start(context);
      await openMany(context, daemon, 600, (i) => `127.0.1.${1 + (i % 200)}`, say);
      for (let i = 0; i < 3; i++)
        assert.match(await scrape(context, daemon, '127.0.0.1'), /^HTTP\/1\.1 200 /);
      await until(() => warnings(daemon).length > 0);
      assert.equal(warnings(daemon).length, 1);
    },
  );
}

test('an address has at most 128 connections, and idle ones are closed first', LONG, async (context) => {
  const daemon = await start(context);
  const [kept] = await openMany(context, daemon, 1, () => '127.0.0.9', REQUEST);
  await until(() => kept?.text().includes('healthy') === true);
  const others = await openMany(context, daemon, 127, () => '127.0.0.9', '');
  const [bystander] = await openMany(context, daemon, 1, () => '127.0.0.1', '');
  const gone = new Set<RawClient>();
  for (const each of [kept, bystander, ...others]) {
    if (each !== undefined) void each.closed.then(() => gone.add(each));
  }
  await openMany(context, daemon, 1, () => '127.0.0.9', '');
  await kept?.closed;
  assert.equal(gone.size, 1);
});

test('pipelined requests get a few responses, then the connection is closed', LONG, async (context) => {
  const daemon = await start(context);
  const say = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n';
  await rawClient(context, daemon.url, { say: say.repeat(100) }).closed;
  const polite = rawClient(context, daemon.url, { say: REQUEST.repeat(3) });
  await until(() => polite.text().split('is healthy').length === 4);
});

test('responses that no client reads block no other scrape', LONG, async (context) => {
  const daemon = await start(context);
  for (let i = 0; i < 40; i++) {
    rawClient(context, daemon.url, {
      say: 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n',
    }).socket.pause();
  }
  assert.match(await scrape(context, daemon, '127.0.0.2'), /^HTTP\/1\.1 200 /);
});

test('an endless request line and endless headers are rejected', LONG, async (context) => {
  const daemon = await start(context);
  const long = 'x'.repeat(100_000);
  const url = rawClient(context, daemon.url, { say: `GET /${long} HTTP/1.1\r\nHost: localhost\r\n\r\n` });
  const header = rawClient(context, daemon.url, {
    say: `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${long}\r\n\r\n`,
  });
  await Promise.all([url.closed, header.closed]);
  for (const { text } of [url, header]) assert.match(text(), /^(HTTP\/1\.1 431 |$)/);
  assert.match(await scrape(context, daemon, '127.0.0.1'), /^HTTP\/1\.1 200 /);
});

test('open pages, silent connections and idle connections do not delay a stop', LONG, async (context) => {
  const daemon = await start(context);
  const page = rawClient(context, daemon.url, {
    say: 'GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n',
  });
  await until(() => page.text().includes('event: vms'));
  await openMany(context, daemon, 50, () => '127.0.0.1', '');
  await openMany(context, daemon, 50, () => '127.0.0.1', REQUEST);
  const late = setTimeout(() => daemon.child.kill('SIGKILL'), 10_000);
  assert.equal(await daemon.stop(), 0, 'it ended by itself, in less than 10 s');
  clearTimeout(late);
});
