import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '../../exporter/config/load.ts';
import { createListener, type Listener } from '../../exporter/listener.ts';

const QUICK = { headersMs: 200, requestMs: 400, checkMs: 50, drainMs: 300 };

async function start(
  context: TestContext,
  app: RequestListener = (_, response) => response.end('in'),
): Promise<{ listener: Listener; port: number }> {
  const listener = createListener(app, undefined, { warn: assert.fail, error: assert.fail }, QUICK);
  const port = await listener.listen('127.0.0.1:0');
  context.after(() => listener.close().catch(() => undefined));
  return { listener, port };
}

/** What the server says until it closes the connection, and how long that takes. */
function talk(
  port: number,
  ...pieces: string[]
): { socket: Socket; end: Promise<{ text: string; ms: number }> } {
  const begin = performance.now();
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  socket.on('error', () => undefined);
  for (const piece of pieces) socket.write(piece);
  const end = new Promise<{ text: string; ms: number }>((resolve) =>
    socket.on('close', () => resolve({ text, ms: performance.now() - begin })),
  );
  return { socket, end };
}

test('a client that sends its headers byte by byte is let go', async (context) => {
  const { port } = await start(context);
  const { socket, end } = talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n');
  const dripping = setInterval(() => socket.writable && socket.write('X-A: b\r\n'), 20);
  const { text, ms } = await end;
  clearInterval(dripping);
  assert.match(text, /^HTTP\/1\.1 408 /);
  assert.ok(ms < 1500, `${ms} ms`);
});

test('a client that connects and says nothing is let go', async (context) => {
  const { port } = await start(context);
  assert.ok((await talk(port).end).ms < 1500);
});

test('a client that never finishes its body is let go', async (context) => {
  const { port } = await start(context, (request) => request.resume());
  const { text } = await talk(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx').end;
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
  const { listener, port } = await start(context);
  const clients = [
    talk(port),
    talk(port, 'GET / HTTP/1.1\r\nHost:'),
    talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
  ];
  await sleep(50);
  const begin = performance.now();
  await listener.close();
  assert.ok(performance.now() - begin < 200);
  await Promise.all(clients.map(({ end }) => end));
});

test('a stop lets a request under way end, and then its connection', async (context) => {
  const { listener, port } = await start(context, (_, response) => {
    setTimeout(() => response.end('in time'), 100);
  });
  const { end } = talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await sleep(50);
  await listener.close();
  assert.match((await end).text, /in time$/);
});

test('a stop does not wait for a client that has its answer and does not read it', async (context) => {
  const { listener, port } = await start(context, (_, response) => {
    setTimeout(() => response.end('in time'), 100);
  });
  const { socket } = talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  socket.pause();
  await sleep(50);
  const begin = performance.now();
  await listener.close();
  assert.ok(performance.now() - begin < QUICK.drainMs - 50);
  socket.destroy();
});

test('a stop does not wait for ever for a request that hangs', async (context) => {
  const { listener, port } = await start(context, (_, response) => void response.write('and then'));
  const { end } = talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await sleep(50);
  const begin = performance.now();
  await listener.close();
  assert.ok(performance.now() - begin < 1000);
  await end;
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

test('an address that cannot be listened on is told with the reason', async (context) => {
  const { port } = await start(context);
  const refused: [string, RegExp][] = [
    [`127.0.0.1:${port}`, /the port is taken: stop the other process or choose another port$/],
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
