import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { iosOf } from '../../../../exporter/model/vm-statistics.ts';
import { QmpSession } from '../../../../exporter/sources/qmp/session.ts';
import { capturedReplies } from '../../../../testing/captured-host.ts';
import { PATIENCE_MS, until } from '../../../../testing/patience.ts';
import { listen, type Monitor, monitor, type Replies, send } from '../../../../testing/qmp-server.ts';
import { negotiated, socketPath, watchUnhandledRejections } from '../../../probes/qmp-client.ts';

watchUnhandledRejections();

const REPLIES = capturedReplies('linux-nvme-vhost', 't0', 'vm-a');
const UUID = '22222222-2222-3333-4444-555555555541';

interface Started {
  readonly session: QmpSession;
  readonly server: Monitor;
  readonly path: string;
  readonly clock: { ms: number };
}

/** A session with a monitor that answers as a captured one, unless `replies` says otherwise. */
async function start(context: TestContext, replies: Replies = {}, uuid = UUID): Promise<Started> {
  const path = socketPath(context);
  const server = await monitor(context, path, { ...REPLIES, ...replies });
  const clock = { ms: 0 };
  const session = new QmpSession(path, uuid, 5000, () => clock.ms);
  context.after(() => session.close());
  return { session, server, path, clock };
}

test('one connection serves many scrapes, and facts are asked once', async (context) => {
  const { session, server } = await start(context);
  for (let i = 0; i < 5; i++) await session.statistics();
  assert.equal(server.clients.size, 1);
  const asked = (command: string): number => server.received.filter((each) => each === command).length;
  assert.equal(asked('qmp_capabilities'), 1);
  assert.equal(asked('query-stats-schemas'), 1);
  assert.equal(asked('query-cpus-fast'), 1);
  assert.equal(asked('query-stats'), 10);
});

test('scrapes at the same time share one round of questions', async (context) => {
  const { session, server } = await start(context);
  const [a, b] = await Promise.all([session.statistics(), session.statistics()]);
  assert.equal(a, b);
  assert.equal(server.received.filter((command) => command === 'query-blockstats').length, 1);
});

test('nothing is sent but the commands of the list', async (context) => {
  const { session, server, clock } = await start(context);
  await session.statistics();
  clock.ms += 60_000;
  await session.statistics();
  for (const command of server.received) assert.match(command, /^(qmp_capabilities|query-[a-z-]+|qom-get)$/);
});

test('vCPUs are told apart by path, though the reply lists them the other way round', async (context) => {
  const { session } = await start(context);
  const { vcpus } = await session.statistics();
  assert.deepEqual([...vcpus.keys()], [0, 1]);
  assert.deepEqual([vcpus.get(0)?.get('halt_exits'), vcpus.get(1)?.get('halt_exits')], [16788, 15700]);
});

test('polling that changes is seen within half a minute', async (context) => {
  let pollMax = 1000;
  const thread = () => [
    { id: 'io0', 'thread-id': 7, 'poll-max-ns': pollMax, 'poll-grow': 0, 'poll-shrink': 0 },
  ];
  const { session, clock } = await start(context, { 'query-iothreads': thread });
  const seen = async (): Promise<number | undefined> =>
    (await session.statistics()).iothreads[0]?.pollMaxSeconds;
  assert.equal(await seen(), 1e-6);
  pollMax = 2000;
  assert.equal(await seen(), 1e-6);
  clock.ms += 30_000;
  assert.equal(await seen(), 2e-6);
});

test('a vCPU plugged in is known in the same scrape', async (context) => {
  let count = 1;
  const path = (i: number): string => `/machine/peripheral/cpu${i}`;
  const list = <T>(make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
  const { session } = await start(context, {
    'query-cpus-fast': () => list((i) => ({ 'cpu-index': i, 'qom-path': path(i), 'thread-id': 100 + i })),
    'query-stats': ({ target }: { target: string }) =>
      target === 'vm'
        ? []
        : list((i) => ({ provider: 'kvm', 'qom-path': path(i), stats: [{ name: 'exits', value: 5 + i }] })),
  });
  await session.statistics();
  count = 2;
  const { vcpus } = await session.statistics();
  assert.equal(vcpus.get(1)?.get('exits'), 6);
});

test('QEMU before 7.1 has no statistics, but disks and IOThreads', async (context) => {
  const { session, server } = await start(context, {
    'query-stats': undefined,
    'query-stats-schemas': undefined,
  });
  const { vcpus, vm, disks, iothreads, state } = await session.statistics();
  assert.deepEqual([vcpus.size, vm.size, disks.length, iothreads.length, state], [0, 0, 1, 1, 'running']);
  assert.ok(!server.received.includes('query-stats'), 'what it does not have is not asked for');
});

test('a monitor that says another uuid speaks for another VM', async (context) => {
  const { session, server } = await start(context, {}, '99999999-2222-3333-4444-555555555541');
  await assert.rejects(session.statistics(), { kind: 'denied', reason: /speaks for VM 22222222/ });
  assert.ok(!server.received.includes('query-stats'));
  await until(() => server.clients.size === 0, 'it is not kept from its rightful client');
});

test('after a failure the monitor is left alone, longer each time, and then found well again', async (context) => {
  const { session, server, path, clock } = await start(context);
  await session.statistics();
  server.close();
  let connections = 0;
  const broken = await listen(context, path, [], (socket) => {
    connections++;
    socket.end('garbage\n');
  });
  await sleep(20);
  await assert.rejects(session.statistics());
  for (const backoff of [5000, 10_000, 20_000]) {
    const before = connections;
    clock.ms += backoff - 1;
    await assert.rejects(session.statistics(), { kind: 'malformed' });
    assert.equal(connections, before, 'left alone');
    clock.ms += 1;
    await assert.rejects(session.statistics());
    assert.equal(connections, before + 1, 'asked again');
  }
  broken.close();
  await monitor(context, path, REPLIES);
  clock.ms += 40_000;
  assert.equal((await session.statistics()).state, 'running');
  assert.equal(session.isUp, true);
});

test('a monitor that answers each command just in time is late all the same, and left alone', async (context) => {
  const path = socketPath(context);
  const server = await negotiated(context, path, (socket, { execute, id }) => {
    const reply = REPLIES[execute];
    const value: unknown = typeof reply === 'function' ? reply({ target: 'vm' }) : reply;
    setTimeout(
      () =>
        send(
          socket,
          value instanceof Error ? { error: { class: 'G', desc: 'x' }, id } : { return: value, id },
        ),
      2000,
    );
  });
  const session = new QmpSession(path, UUID, 3000);
  context.after(() => session.close());
  await assert.rejects(session.statistics(), { kind: 'timeout', reason: 'no statistics in 3000 ms' });
  const asked = server.received.length;
  await assert.rejects(session.statistics(), { kind: 'timeout' });
  assert.equal(server.received.length, asked);
});

test('who comes while a late answer is still out does not wait for it', async (context) => {
  const path = socketPath(context);
  await negotiated(context, path, () => undefined);
  const clock = { ms: 0 };
  const session = new QmpSession(path, UUID, 2 * PATIENCE_MS, () => clock.ms);
  context.after(() => session.close());
  const first = assert.rejects(session.statistics());
  await sleep(20);
  clock.ms = 2 * PATIENCE_MS + 1;
  const start = performance.now();
  await assert.rejects(session.statistics(), { kind: 'timeout' });
  assert.ok(performance.now() - start < PATIENCE_MS);
  session.close();
  await first;
});

test('a session that is closed while it connects leaves no connection behind', async (context) => {
  const { session, server } = await start(context);
  const asking = assert.rejects(session.statistics(), { kind: 'vanished' });
  session.close();
  await asking;
  await until(() => server.clients.size === 0);
  await assert.rejects(session.statistics(), { kind: 'vanished' });
});

test('a VM that dies between two scrapes is one failure, not a crash', async (context) => {
  const { session, server } = await start(context);
  await session.statistics();
  server.close();
  await sleep(20);
  await assert.rejects(session.statistics(), { name: 'SourceError' });
});

test('I/Os are one short question on a connection that is open, and no vCPU is asked', async (context) => {
  const { session, server } = await start(context);
  const { disks } = await session.statistics();
  const before = server.received.length;
  assert.equal(await session.ios(), iosOf(disks));
  assert.deepEqual(server.received.slice(before), ['query-blockstats']);
});

test('I/Os of a monitor that was never asked, or was lost, are those of a whole round', async (context) => {
  const { session, server } = await start(context);
  assert.ok((await session.ios()) > 0);
  for (const client of server.clients) client.destroy();
  await assert.rejects(session.ios());
  assert.equal(session.isUp, false);
});
