import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { flood, floods, greets, HALF_A_REPLY, hangsUp, replies } from '../../lab/simhost/qmp/faults.ts';
import { QmpError, type QmpFault } from '../../lab/simhost/qmp/server.ts';
import { SourceError } from '../../probes/errors.ts';
import { QmpConnection } from '../../probes/qmp-connection.ts';
import { cpuMs, PATIENCE_MS, until } from '../../testing/patience.ts';
import { connected, qmpServer, socketPath } from '../../testing/qmp-server.ts';
import { watchUnhandledRejections } from '../../testing/unhandled-rejections.ts';

watchUnhandledRejections();

const MIB = 1024 * 1024;

/** The error of a command on a monitor with this fault. */
async function errorWith(context: TestContext, fault: QmpFault): Promise<SourceError> {
  const { qmp } = await connected(context, {}, fault);
  const error: unknown = await qmp.execute('query-name', PATIENCE_MS).then(
    () => assert.fail('the command succeeds'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof SourceError, String(error));
  assert.ok(error.message.length < 1000, 'an error message that grows with the input');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a reason must not contain them
  assert.doesNotMatch(error.reason, /[\x00-\x1f\x7f-\x9f]/);
  return error;
}

const MALFORMED: Readonly<Record<string, (id: string) => string>> = {
  'no JSON': () => 'hello',
  'binary garbage': () => '\0\x01\xff\xfe\x1b[2J',
  'half a message': (id) => `{"return": {"a": 1, "id": ${id}`,
  'a number': () => '7',
  null: () => 'null',
  'a string': () => '"x"',
  'a list': (id) => `[{"return": 1, "id": ${id}}]`,
  'an unknown id': () => '{"return": 1, "id": "999"}',
  'no id': () => '{"return": 1}',
  'an id of another type': (id) => `{"return": 1, "id": ${JSON.parse(id)}}`,
  'an id of Object.prototype': () => '{"return": 1, "id": "constructor"}',
  'a second greeting': () => '{"QMP": {"version": {}, "capabilities": []}}',
  'neither result nor error': (id) => `{"id": ${id}}`,
  'error null': (id) => `{"error": null, "id": ${id}}`,
  'error a string': (id) => `{"error": "x", "id": ${id}}`,
  'an error without a class': (id) => `{"error": {"desc": "x"}, "id": ${id}}`,
  'an error that cannot be a string': (id) =>
    `{"error": {"class": {"toString": 1, "valueOf": 1}, "desc": {"toString": 1}}, "id": ${id}}`,
};

for (const [what, line] of Object.entries(MALFORMED)) {
  test(`${what} in place of a reply is malformed`, async (context) => {
    assert.equal((await errorWith(context, replies(line))).kind, 'malformed');
  });
}

test('a second reply closes the connection, and the next command fails', async (context) => {
  const fault: QmpFault = {
    onCommand: (_client, _request, reply) => {
      reply();
      reply();
    },
  };
  const { qmp } = await connected(context, { 'query-name': 1 }, fault);
  assert.equal(await qmp.execute('query-name', PATIENCE_MS), 1);
  await until(() => !qmp.isOpen);
  await assert.rejects(qmp.execute('query-name', PATIENCE_MS), { kind: 'malformed' });
});

test('a connection that ends in the middle of a reply is a VM that vanished', async (context) => {
  assert.equal((await errorWith(context, HALF_A_REPLY)).kind, 'vanished');
});

test('a reply of a hundred megabytes without a newline is cut off at the cap', async (context) => {
  let sent = { written: 0 };
  const before = process.memoryUsage().rss;
  const error = await errorWith(context, {
    onCommand: (client) => {
      sent = flood(client, Buffer.alloc(256 * 1024, 'x'), 100 * MIB);
    },
  });
  assert.equal(error.kind, 'too_large');
  assert.ok(sent.written < 20 * MIB, `${sent.written} bytes were accepted`);
  assert.ok(process.memoryUsage().rss - before < 150 * MIB, 'memory stays bounded');
});

test('without a pending command, the limit of a line is lower', async (context) => {
  const { qmp, server } = await connected(context, { 'query-name': 1 });
  await qmp.execute('query-name', PATIENCE_MS);
  const sent = flood(server.clients[0] as Socket, Buffer.alloc(64 * 1024, 'x'), 100 * MIB);
  await until(() => !qmp.isOpen);
  assert.ok(sent.written < 4 * MIB, `${sent.written} bytes were accepted`);
});

for (const [what, line] of [
  ['a million open brackets', () => '['.repeat(1e6)],
  [
    'a million pairs of brackets',
    (id: string) => `{"return": ${'['.repeat(1e6)}${']'.repeat(1e6)}, "id": ${id}}`,
  ],
  [
    'a million nested objects',
    (id: string) => `{"return": ${'{"a":'.repeat(1e6)}1${'}'.repeat(1e6)}, "id": ${id}}`,
  ],
] as const) {
  test(`${what} are rejected before they are parsed`, async (context) => {
    let error: SourceError | undefined;
    const ms = await cpuMs(async () => {
      error = await errorWith(context, replies(line));
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
    const error = await errorWith(context, floods(line.repeat(1000)));
    assert.equal(error.kind, 'too_large');
    assert.match(error.reason, /flood/);
  });
}

test('a reply of a megabyte is valid', async (context) => {
  const { qmp } = await connected(context, { 'query-name': 'x'.repeat(MIB) });
  assert.equal(String(await qmp.execute('query-name', PATIENCE_MS)).length, MIB);
});

for (const [what, greeting] of [
  ['garbage', 'SSH-2.0-OpenSSH\r\n'],
  ['an event', '{"event": "STOP"}\n'],
  ['a greeting of the wrong type', '{"QMP": 7}\n'],
  ['a reply', '{"return": {}, "id": "1"}\n'],
] as const) {
  test(`${what} in place of a greeting is malformed`, async (context) => {
    const { path } = await qmpServer(context, socketPath(context), {}, greets(greeting));
    await assert.rejects(QmpConnection.open(path, PATIENCE_MS), { kind: 'malformed' });
  });
}

test('a monitor that closes at once or after its greeting is an error', async (context) => {
  for (const greeting of ['', '{"QMP": {}}\n']) {
    const { path } = await qmpServer(context, socketPath(context), {}, hangsUp(greeting));
    await assert.rejects(QmpConnection.open(path, PATIENCE_MS), { name: 'SourceError' });
  }
});

test('a monitor that rejects the capabilities is closed', async (context) => {
  const refusal = { qmp_capabilities: new QmpError('CommandNotFound', 'no') };
  const server = await qmpServer(context, socketPath(context), refusal);
  await assert.rejects(QmpConnection.open(server.path, PATIENCE_MS), { kind: 'absent' });
  await until(() => server.clients.length === 0);
});
