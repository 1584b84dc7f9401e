import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SourceError } from '../../probes/errors.ts';
import { QmpConnection } from '../../probes/qmp-connection.ts';
import { cpuMs, until } from '../../testing/patience.ts';
import { listen, send } from '../../testing/qmp-server.ts';
import { connected, socketPath, watchUnhandledRejections } from './qmp-client.ts';

watchUnhandledRejections();

const MIB = 1024 * 1024;

/** What became of a command that was answered like this. */
async function answeredWith(
  context: TestContext,
  answer: (socket: Socket, id: string) => void,
): Promise<SourceError> {
  const { qmp } = await connected(context, (socket, { id }) => answer(socket, id));
  const error: unknown = await qmp.execute('query-name', 2000).then(
    () => assert.fail('understood'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof SourceError, String(error));
  assert.ok(error.message.length < 1000, 'an error message that grows with the input');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  assert.doesNotMatch(error.reason, /[\x00-\x1f\x7f-\x9f]/);
  return error;
}

/** Writes for as long as somebody reads. @returns bytes written */
function flood(socket: Socket, chunk: string | Buffer, limit: number): { written: number } {
  const total = { written: 0 };
  const more = (): void => {
    while (!socket.destroyed && total.written < limit) {
      total.written += chunk.length;
      if (!socket.write(chunk)) {
        socket.once('drain', more);
        return;
      }
    }
  };
  more();
  return total;
}

const MALFORMED: Readonly<Record<string, (id: string) => string>> = {
  'no JSON': () => 'hello',
  'binary garbage': () => '\0\x01\xff\xfe\x1b[2J',
  'half a message': (id) => `{"return": {"a": 1, "id": "${id}"`,
  'a number': () => '7',
  null: () => 'null',
  'a string': () => '"x"',
  'a list': (id) => `[{"return": 1, "id": "${id}"}]`,
  'an unknown id': () => '{"return": 1, "id": "999"}',
  'no id': () => '{"return": 1}',
  'an id of another type': (id) => `{"return": 1, "id": ${id}}`,
  'an id of Object.prototype': () => '{"return": 1, "id": "constructor"}',
  'a second greeting': () => '{"QMP": {"version": {}, "capabilities": []}}',
  'neither result nor error': (id) => `{"id": "${id}"}`,
  'error null': (id) => `{"error": null, "id": "${id}"}`,
  'error a string': (id) => `{"error": "x", "id": "${id}"}`,
  'an error without a class': (id) => `{"error": {"desc": "x"}, "id": "${id}"}`,
  'an error that cannot be a string': (id) =>
    `{"error": {"class": {"toString": 1, "valueOf": 1}, "desc": {"toString": 1}}, "id": "${id}"}`,
};

for (const [what, line] of Object.entries(MALFORMED)) {
  test(`${what} in place of a reply is malformed`, async (context) => {
    const error = await answeredWith(context, (socket, id) =>
      socket.write(Buffer.from(`${line(id)}\n`, 'latin1')),
    );
    assert.equal(error.kind, 'malformed');
  });
}

test('a reply that comes twice closes the connection, and the next command knows', async (context) => {
  const { qmp } = await connected(context, (socket, { id }) => {
    send(socket, { return: 1, id });
    send(socket, { return: 2, id });
  });
  assert.equal(await qmp.execute('query-name', 1000), 1);
  await sleep(20);
  await assert.rejects(qmp.execute('query-name', 1000), { kind: 'malformed' });
});

test('death in the middle of a reply is a VM that vanished', async (context) => {
  const error = await answeredWith(context, (socket, id) =>
    socket.end(`{"return": {"name": "x"}, "id": "${id}`),
  );
  assert.equal(error.kind, 'vanished');
});

test('a hundred megabytes without a newline are cut off after the cap', async (context) => {
  let sent = { written: 0 };
  const before = process.memoryUsage().rss;
  const error = await answeredWith(context, (socket) => {
    sent = flood(socket, Buffer.alloc(256 * 1024, 'x'), 100 * MIB);
  });
  assert.equal(error.kind, 'too_large');
  assert.ok(sent.written < 20 * MIB, `${sent.written} bytes were taken`);
  assert.ok(process.memoryUsage().rss - before < 150 * MIB, 'memory stays bounded');
});

test('while nothing is asked, a line may not even be as long as a reply', async (context) => {
  let talk: Socket | undefined;
  const { qmp } = await connected(context, (socket, { id }) => {
    talk = socket;
    send(socket, { return: 1, id });
  });
  await qmp.execute('query-name', 1000);
  const sent = flood(talk as Socket, Buffer.alloc(64 * 1024, 'x'), 100 * MIB);
  await until(() => !qmp.isOpen);
  assert.equal(qmp.isOpen, false);
  assert.ok(sent.written < 4 * MIB, `${sent.written} bytes were taken`);
});

for (const [what, line] of [
  ['a million open brackets', () => '['.repeat(1e6)],
  [
    'a million brackets, closed',
    (id: string) => `{"return": ${'['.repeat(1e6)}${']'.repeat(1e6)}, "id": "${id}"}`,
  ],
  [
    'a million objects in each other',
    (id: string) => `{"return": ${'{"a":'.repeat(1e6)}1${'}'.repeat(1e6)}, "id": "${id}"}`,
  ],
] as const) {
  test(`${what} are refused before they are parsed`, async (context) => {
    let error: SourceError | undefined;
    const ms = await cpuMs(async () => {
      error = await answeredWith(context, (socket, id) => socket.write(`${line(id)}\n`));
    });
    assert.equal(error?.kind, 'too_large');
    assert.match(error.reason, /nested over 1024 deep/);
    assert.ok(ms < 5000, `${ms} ms`);
  });
}

for (const [what, line] of [
  ['events', `${JSON.stringify({ event: 'STOP' })}\n`],
  ['empty lines', '\r\n'],
] as const) {
  test(`a flood of ${what} closes the connection`, async (context) => {
    const error = await answeredWith(context, (socket) => flood(socket, line.repeat(1000), 100 * MIB));
    assert.equal(error.kind, 'too_large');
    assert.match(error.reason, /flood/);
  });
}

test('a real reply of a megabyte is understood', async (context) => {
  const { qmp } = await connected(context, (socket, { id }) => {
    socket.write(`{"return": "${'x'.repeat(MIB)}", "id": "${id}"}\n`);
  });
  assert.equal(String(await qmp.execute('query-name', 5000)).length, MIB);
});

for (const [what, greet] of [
  ['garbage', 'SSH-2.0-OpenSSH\r\n'],
  ['an event', '{"event": "STOP"}\n'],
  ['a greeting of the wrong type', '{"QMP": 7}\n'],
  ['a reply', '{"return": {}, "id": "1"}\n'],
] as const) {
  test(`${what} in place of a greeting is malformed`, async (context) => {
    const path = socketPath(context);
    await listen(context, path, [], (socket) => socket.write(greet));
    await assert.rejects(QmpConnection.open(path, 1000), { kind: 'malformed' });
  });
}

test('a monitor that hangs up at once, or after its greeting, is a VM that vanished', async (context) => {
  for (const greeting of ['', '{"QMP": {}}\n']) {
    const path = socketPath(context);
    await listen(context, path, [], (socket) => socket.end(greeting));
    await assert.rejects(QmpConnection.open(path, 1000), { name: 'SourceError' });
  }
});

test('a monitor that refuses the capabilities is given up', async (context) => {
  const path = socketPath(context);
  const { clients } = await listen(context, path, [], (socket) => {
    send(socket, { QMP: {} });
    socket.on('data', () => send(socket, { error: { class: 'CommandNotFound', desc: 'no' }, id: '1' }));
  });
  await assert.rejects(QmpConnection.open(path, 1000), { kind: 'absent' });
  await sleep(20);
  assert.equal(clients.size, 0);
});
