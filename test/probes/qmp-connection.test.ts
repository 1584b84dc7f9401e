import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { IGNORES_COMMANDS, NO_GREETING } from '../../lab/simhost/qmp/faults.ts';
import { QmpError, send } from '../../lab/simhost/qmp/server.ts';
import { QMP_COMMANDS } from '../../probes/qmp-commands.ts';
import { QmpConnection } from '../../probes/qmp-connection.ts';
import { PATIENCE_MS, until } from '../../testing/patience.ts';
import { connected, qmpServer, socketPath } from '../../testing/qmp-server.ts';
import { watchUnhandledRejections } from '../../testing/unhandled-rejections.ts';

watchUnhandledRejections();

test('replies are matched to commands by id, in any order', async (context) => {
  const waiting: (() => void)[] = [];
  const { qmp } = await connected(
    context,
    { 'query-name': 'a', 'query-uuid': 'b', 'query-status': 'c' },
    {
      onCommand: (_client, _request, reply) => {
        waiting.push(reply);
        if (waiting.length === 3) for (const send of waiting.toReversed()) send();
      },
    },
  );
  const commands = ['query-name', 'query-uuid', 'query-status'] as const;
  const answers = await Promise.all(commands.map((command) => qmp.execute(command, PATIENCE_MS)));
  assert.deepEqual(answers, ['a', 'b', 'c']);
});

test('a command is sent with its arguments', async (context) => {
  const { qmp } = await connected(context, { 'query-stats': (args: object) => args, 'query-name': 'none' });
  assert.deepEqual(await qmp.execute('query-stats', PATIENCE_MS, { target: 'vm' }), { target: 'vm' });
  assert.equal(await qmp.execute('query-name', PATIENCE_MS), 'none');
});

test('an error reply rejects only its own command, and control characters are escaped', async (context) => {
  const { qmp } = await connected(context, {
    'query-stats': new QmpError('GenericError', `no\u001b[2J${'x'.repeat(9999)}`),
    'query-name': 1,
  });
  await assert.rejects(qmp.execute('query-stats', PATIENCE_MS), (error: Error & { kind?: string }) => {
    assert.equal(error.kind, 'absent');
    assert.match(error.message, /GenericError: no\\u\{1b\}\[2J/);
    assert.ok(error.message.length < 400);
    return true;
  });
  assert.equal(await qmp.execute('query-name', PATIENCE_MS), 1);
});

test('events between replies are ignored', async (context) => {
  const { qmp } = await connected(
    context,
    { 'query-name': 'here' },
    {
      onCommand: (client, _request, reply) => {
        for (let i = 0; i < 100; i++) send(client, { event: 'RTC_CHANGE', data: { offset: i } });
        reply();
        send(client, { event: 'STOP' });
      },
    },
  );
  for (let i = 0; i < 200; i++) assert.equal(await qmp.execute('query-name', PATIENCE_MS), 'here');
});

test('a reply that arrives byte by byte is complete', async (context) => {
  const { qmp } = await connected(
    context,
    {},
    {
      onCommand: async (client, { id }) => {
        for (const byte of Buffer.from(`${JSON.stringify({ return: 'grün', id })}\r\n`)) {
          client.write(Buffer.from([byte]));
          await sleep(0);
        }
      },
    },
  );
  assert.equal(await qmp.execute('query-name', PATIENCE_MS), 'grün');
});

test('all replies in one chunk are received', async (context) => {
  const ids: unknown[] = [];
  const { qmp } = await connected(
    context,
    {},
    {
      onCommand: (client, { id }) => {
        ids.push(id);
        if (ids.length < 50) return;
        client.write(`${ids.map((each) => JSON.stringify({ return: each, id: each })).join('\n\n\r\n')}\n`);
      },
    },
  );
  const answers = await Promise.all(Array.from({ length: 50 }, () => qmp.execute('query-name', PATIENCE_MS)));
  assert.equal(new Set(answers).size, 50);
});

test('a command that times out closes the connection and rejects all other commands', async (context) => {
  const { qmp, server } = await connected(context, {}, IGNORES_COMMANDS);
  const slow = qmp.execute('query-name', 2 * PATIENCE_MS);
  const start = performance.now();
  await assert.rejects(qmp.execute('query-uuid', 50), {
    kind: 'timeout',
    reason: /no response to query-uuid in 50 ms/,
  });
  await assert.rejects(slow, { kind: 'timeout' });
  assert.ok(performance.now() - start < PATIENCE_MS);
  assert.equal(qmp.isOpen, false);
  await until(() => server.clients.length === 0);
  await assert.rejects(
    qmp.execute('query-name', PATIENCE_MS),
    { kind: 'timeout' },
    'a later command fails too',
  );
});

test('a reply that came in time counts, even if this process was busy until after the timeout', async (context) => {
  const { qmp } = await connected(
    context,
    { 'query-name': 'here' },
    {
      onCommand: (_client, _request, reply) => {
        reply();
        for (const end = performance.now() + 30; performance.now() < end; );
      },
    },
  );
  assert.equal(await qmp.execute('query-name', 10), 'here');
});

test('close() rejects pending commands and can be called twice', async (context) => {
  const { qmp } = await connected(context, {}, IGNORES_COMMANDS);
  const pending = [qmp.execute('query-name', PATIENCE_MS), qmp.execute('query-uuid', PATIENCE_MS)];
  qmp.close();
  qmp.close();
  for (const each of pending) await assert.rejects(each, { kind: 'vanished' });
});

test('a monitor without a greeting is reported as held by another client', async (context) => {
  const server = await qmpServer(context, socketPath(context), {}, NO_GREETING);
  const start = performance.now();
  await assert.rejects(QmpConnection.open(server.path, 50), {
    kind: 'timeout',
    reason: 'no greeting in 50 ms: another client holds the monitor',
  });
  assert.ok(performance.now() - start < PATIENCE_MS);
  await until(() => server.clients.length === 0, 'the connection is closed');
});

test('a monitor serves one client at a time', async (context) => {
  const { qmp, server } = await connected(context, { 'query-name': 1 });
  await assert.rejects(QmpConnection.open(server.path, 50), { kind: 'timeout' });
  assert.equal(await qmp.execute('query-name', PATIENCE_MS), 1);
  qmp.close();
  const next = await QmpConnection.open(server.path, PATIENCE_MS);
  assert.equal(await next.execute('query-name', PATIENCE_MS), 1);
  next.close();
});

test('a socket that is missing, stale or too long is an error', async (context) => {
  const path = socketPath(context);
  await assert.rejects(QmpConnection.open(path, PATIENCE_MS), { kind: 'absent' });
  await (await qmpServer(context, path, {})).close();
  await assert.rejects(QmpConnection.open(path, PATIENCE_MS), { name: 'SourceError' });

  const long = socketPath(context).padEnd(107, 'x');
  await qmpServer(context, long, {});
  await assert.rejects(QmpConnection.open(`${long}y`, PATIENCE_MS), { name: 'SourceError' });
});

test('the list of commands has only commands that read', () => {
  for (const command of QMP_COMMANDS) assert.match(command, /^(query-[a-z-]+|qom-get)$/);
});
