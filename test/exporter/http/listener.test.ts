import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { RequestListener, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '../../../exporter/config/load.ts';
import { createListener, type Listener } from '../../../exporter/http/listener.ts';
import { PATIENCE_MS } from '../../../testing/patience.ts';

const QUICK = { headersMs: 200, requestMs: 400, checkMs: 50, drainMs: 300 };
/** A stop that waits for its clients takes longer than any delay of a busy machine. */
const SLOW_DRAIN = { ...QUICK, headersMs: 60_000, requestMs: 60_000, drainMs: 2 * PATIENCE_MS };

async function start(
  context: TestContext,
  app: RequestListener = (_, response) => response.end('in'),
  timeouts = QUICK,
): Promise<{ listener: Listener; port: number }> {
  const listener = createListener(app, undefined, { warn: assert.fail, error: assert.fail }, timeouts);
  const port = await listener.listen('127.0.0.1:0');
  context.after(() => listener.close().catch(() => undefined));
  return { listener, port };
}

/** All data that the server sends until it closes the connection. */
function talk(port: number, ...pieces: string[]): { socket: Socket; end: Promise<string> } {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  socket.on('error', () => undefined);
  for (const piece of pieces) socket.write(piece);
  const end = new Promise<string>((resolve) => socket.on('close', () => resolve(text)));
  return { socket, end };
}

test('a client that sends its headers byte by byte is disconnected', async (context) => {
  const { port } = await start(context);
  const { socket, end } = talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n');
  const dripping = setInterval(() => socket.writable && socket.write('X-A: b\r\n'), 20);
  const text = await end;
  clearInterval(dripping);
  assert.match(text, /^HTTP\/1\.1 408 /);
});

test('a client that connects and sends nothing is disconnected', async (context) => {
  const { port } = await start(context);
  assert.match(await talk(port).end, /^(HTTP\/1\.1 408 |$)/);
});

test('a client that never finishes its body is disconnected', async (context) => {
  const { port } = await start(context, (request) => request.resume());
  const text = await talk(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx').end;
  assert.match(text, /^HTTP\/1\.1 408 /);
});

test('a connection is kept for the next scrape', async (context) => {
  const { port } = await start(context);
  const { socket } = talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  let closed = false;
  socket.on('close', () => {
    closed = true;
  });
  await sleep(600);
  assert.equal(closed, false);
  socket.destroy();
});

test('a stop does not wait for connections without a request', async (context) => {
  const { listener, port } = await start(context, undefined, SLOW_DRAIN);
  const clients = [
    talk(port),
    talk(port, 'GET / HTTP/1.1\r\nHost:'),
    talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
  ];
  // The one with a request has its answer when all have been accepted.
  await once(clients[2]?.socket as Socket, 'data');
  const begin = performance.now();
  await listener.close();
  assert.ok(performance.now() - begin < PATIENCE_MS);
  await Promise.all(clients.map(({ end }) => end));
});

test('a stop waits for a request in progress, and then closes its connection', async (context) => {
  const requests = new EventEmitter();
  const app: RequestListener = (_, response) => requests.emit('request', response);
  const { listener, port } = await start(context, app, SLOW_DRAIN);
  const requested = once(requests, 'request');
  const { end } = talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const [response] = (await requested) as [ServerResponse];
  const closed = listener.close();
  response.end('in time');
  await closed;
  assert.match(await end, /in time$/);
});

test('a stop does not wait for a client that does not read its response', async (context) => {
  const requests = new EventEmitter();
  const app: RequestListener = (_, response) => requests.emit('request', response);
  const { listener, port } = await start(context, app, SLOW_DRAIN);
  const requested = once(requests, 'request');
  const { socket } = talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  socket.pause();
  const [response] = (await requested) as [ServerResponse];
  const begin = performance.now();
  const closed = listener.close();
  response.end('in time');
  await closed;
  assert.ok(performance.now() - begin < PATIENCE_MS);
  socket.destroy();
});

test('a stop does not wait forever for a hanging request', async (context) => {
  const { listener, port } = await start(context, (_, response) => void response.write('and then'));
  const { socket, end } = talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(socket, 'data');
  await listener.close();
  assert.match(await end, /and then/);
});

test('listens on IPv6', async (context) => {
  const listener = createListener((_, response) => response.end('in'), undefined, {
    warn: assert.fail,
    error: assert.fail,
  });
  context.after(() => listener.close().catch(() => undefined));
  let port: number;
  try {
    port = await listener.listen('[::1]:0');
  } catch (error) {
    context.skip(`no IPv6 here: ${error}`);
    return;
  }
  assert.equal(await (await fetch(`http://[::1]:${port}/`)).text(), 'in');
});

test('without a host, it listens on all addresses', async (context) => {
  const listener = createListener((_, response) => response.end('in'), undefined, {
    warn: assert.fail,
    error: assert.fail,
  });
  context.after(() => listener.close());
  const port = await listener.listen(':0');
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'in');
});

test('an address that cannot be listened on is reported with the reason', async (context) => {
  const { port } = await start(context);
  const refused: [string, RegExp][] = [
    [`127.0.0.1:${port}`, /the port is in use: stop the other process or choose another port$/],
    ['192.0.2.1:0', /no interface of this machine has the address$/],
    ['no-such-host.invalid:0', /"no-such-host\.invalid:0"/],
  ];
  for (const [address, message] of refused) {
    const listener = createListener(() => undefined, undefined, { warn: assert.fail, error: assert.fail });
    await assert.rejects(
      listener.listen(address),
      (error) => error instanceof ConfigError && message.test(error.message),
      address,
    );
  }
});
