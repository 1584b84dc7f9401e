import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { QMP_COMMANDS } from '../../probes/qmp-commands.ts';
import { QmpConnection } from '../../probes/qmp-connection.ts';
import { PATIENCE_MS, until } from '../../testing/patience.ts';
import { listen, send } from '../../testing/qmp-server.ts';
import { connected, negotiated, socketPath, watchUnhandledRejections } from './qmp-client.ts';

watchUnhandledRejections();

test('commands are answered by id, in whatever order', async (context) => {
  const { qmp } = await connected(context, (socket, _, all) => {
    if (all.length < 3) return;
    for (const { execute, id } of [...all].reverse()) send(socket, { return: execute, id });
  });
  const commands = ['query-name', 'query-uuid', 'query-status'] as const;
  const answers = await Promise.all(commands.map((command) => qmp.execute(command, 1000)));
  assert.deepEqual(answers, commands);
});

test('the arguments of a command are sent with it', async (context) => {
  const { qmp } = await connected(context, (socket, request) => {
    send(socket, { return: request.arguments ?? 'none', id: request.id });
  });
  assert.deepEqual(await qmp.execute('query-stats', 1000, { target: 'vm' }), { target: 'vm' });
  assert.equal(await qmp.execute('query-name', 1000), 'none');
});

test("QEMU's own error rejects that command alone, without control characters", async (context) => {
  const { qmp } = await connected(context, (socket, { execute, id }) => {
    if (execute === 'query-stats')
      send(socket, { error: { class: 'GenericError', desc: `no\u001b[2J${'x'.repeat(9999)}` }, id });
    else send(socket, { return: 1, id });
  });
  await assert.rejects(qmp.execute('query-stats', 1000), (error: Error & { kind?: string }) => {
    assert.equal(error.kind, 'absent');
    assert.match(error.message, /GenericError: no\\u\{1b\}\[2J/);
    assert.ok(error.message.length < 400);
    return true;
  });
  assert.equal(await qmp.execute('query-name', 1000), 1);
});

test('events between replies are passed over', async (context) => {
  const { qmp } = await connected(context, (socket, { id }) => {
    for (let i = 0; i < 100; i++) send(socket, { event: 'RTC_CHANGE', data: { offset: i } });
    send(socket, { return: 'here', id });
    send(socket, { event: 'STOP' });
  });
  for (let i = 0; i < 200; i++) assert.equal(await qmp.execute('query-name', 1000), 'here');
});

test('a reply that comes byte by byte is put together', async (context) => {
  const { qmp } = await connected(context, (socket, { id }) => {
    const bytes = Buffer.from(`${JSON.stringify({ return: 'grün', id })}\r\n`);
    void (async () => {
      socket.setNoDelay?.(true);
      for (const byte of bytes) {
        socket.write(Buffer.from([byte]));
        await sleep(0);
      }
    })();
  });
  assert.equal(await qmp.execute('query-name', 1000), 'grün');
});

test('many replies in one chunk are all taken', async (context) => {
  const { qmp } = await connected(context, (socket, _, all) => {
    if (all.length < 50) return;
    const lines = all.map(({ id }) => JSON.stringify({ return: id, id }));
    socket.write(`${lines.join('\n\n\r\n')}\n`);
  });
  const answers = await Promise.all(Array.from({ length: 50 }, () => qmp.execute('query-name', 1000)));
  assert.equal(new Set(answers).size, 50);
});

test('a command that gets no answer closes the connection, and all that waits learns it', async (context) => {
  const { qmp, monitor } = await connected(context, () => undefined);
  const slow = qmp.execute('query-name', 60_000);
  const start = performance.now();
  await assert.rejects(qmp.execute('query-uuid', 50), {
    kind: 'timeout',
    reason: /no answer to query-uuid in 50 ms/,
  });
  await assert.rejects(slow, { kind: 'timeout' });
  assert.ok(performance.now() - start < PATIENCE_MS);
  assert.equal(qmp.isOpen, false);
  await until(() => monitor.clients.size === 0);
  await assert.rejects(
    qmp.execute('query-name', 1000),
    { kind: 'timeout' },
    'and so does whoever comes later',
  );
});

test('close() rejects what waits, and may be called twice', async (context) => {
  const { qmp } = await connected(context, () => undefined);
  const waiting = [qmp.execute('query-name', 1000), qmp.execute('query-uuid', 1000)];
  qmp.close();
  qmp.close();
  for (const each of waiting) await assert.rejects(each, { kind: 'vanished' });
});

test('a monitor that another client holds gives no greeting, which is said', async (context) => {
  const path = socketPath(context);
  const { clients } = await listen(context, path, [], () => undefined);
  const start = performance.now();
  await assert.rejects(QmpConnection.open(path, 50), {
    kind: 'timeout',
    reason: 'no greeting in 50 ms: another client holds the monitor',
  });
  assert.ok(performance.now() - start < PATIENCE_MS);
  await until(() => clients.size === 0, 'nothing stays behind in the queue');
});

test('a socket that is missing, stale or too long to name is an error, never another socket', async (context) => {
  const path = socketPath(context);
  await assert.rejects(QmpConnection.open(path, 1000), { kind: 'absent' });
  const { server } = await negotiated(context, path, () => undefined);
  const stale = new Promise((resolve) => server.close(resolve));
  await stale;
  await assert.rejects(QmpConnection.open(path, 1000), { name: 'SourceError' });

  const long = socketPath(context).padEnd(107, 'x');
  await negotiated(context, long, () => undefined);
  await assert.rejects(QmpConnection.open(`${long}y`, 1000), { name: 'SourceError' });
});

test('nothing but the commands on the list can be sent, and all of them read', () => {
  for (const command of QMP_COMMANDS) assert.match(command, /^(query-[a-z-]+|qom-get)$/);
});
