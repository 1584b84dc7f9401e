import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { QmpSession } from '../../../../exporter/sources/qmp/session.ts';
import { hangsUp, IGNORES_COMMANDS } from '../../../../lab/simhost/qmp/faults.ts';
import type { QmpServer, Replies } from '../../../../lab/simhost/qmp/server.ts';
import { capturedReplies } from '../../../../testing/captured-monitor.ts';
import { PATIENCE_MS, until } from '../../../../testing/patience.ts';
import { qmpServer, socketPath } from '../../../../testing/qmp-server.ts';
import { watchUnhandledRejections } from '../../../../testing/unhandled-rejections.ts';
import { statisticOf } from '../../../../testing/vcpu-table.ts';

watchUnhandledRejections();

const REPLIES = capturedReplies('linux-nvme-vhost', 't0', 'vm-a');
const UUID = '22222222-2222-3333-4444-555555555541';

interface Started {
  readonly session: QmpSession;
  readonly server: QmpServer;
  readonly path: string;
  readonly clock: { ms: number };
}

/** A session with a monitor that answers as a captured one, unless `replies` says otherwise. */
async function start(context: TestContext, replies: Replies = {}, uuid = UUID): Promise<Started> {
  const path = socketPath(context);
  const server = await qmpServer(context, path, { ...REPLIES, ...replies });
  const clock = { ms: 0 };
  const session = new QmpSession(path, uuid, PATIENCE_MS, () => clock.ms);
  context.after(() => session.close());
  return { session, server, path, clock };
}

test('one connection serves many scrapes, and facts are read once', async (context) => {
  const { session, server } = await start(context);
  for (let i = 0; i < 5; i++) await session.statistics();
  assert.equal(server.clients.length, 1);
  const asked = (command: string): number => server.received.filter((each) => each === command).length;
  assert.equal(asked('qmp_capabilities'), 1);
  assert.equal(asked('query-stats-schemas'), 1);
  assert.equal(asked('query-cpus-fast'), 1);
  assert.equal(asked('query-stats'), 10);
});

test('concurrent scrapes share one round of requests', async (context) => {
  const { session, server } = await start(context);
  const [a, b] = await Promise.all([session.statistics(), session.statistics()]);
  assert.equal(a, b);
  assert.equal(server.received.filter((command) => command === 'query-blockstats').length, 1);
});

test('only listed commands are sent', async (context) => {
  const { session, server, clock } = await start(context);
  await session.statistics();
  clock.ms += 60_000;
  await session.statistics();
  for (const command of server.received) assert.match(command, /^(qmp_capabilities|query-[a-z-]+|qom-get)$/);
});

test('vCPUs are distinguished by path, although the reply lists them in reverse order', async (context) => {
  const { session } = await start(context);
  const { vcpus } = await session.statistics();
  assert.deepEqual(vcpus.indexes, [0, 1]);
  assert.deepEqual(
    [0, 1].map((vcpu) => statisticOf(vcpus, vcpu, 'halt_exits')),
    [16788, 15700],
  );
});

test('changed polling parameters are detected within half a minute', async (context) => {
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

test('a hot-plugged vCPU is known in the same scrape', async (context) => {
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
  assert.equal(statisticOf(vcpus, 1, 'exits'), 6);
});

test('QEMU before 7.1 has no statistics, but disks and IOThreads', async (context) => {
  const { session, server } = await start(context, {
    'query-stats': undefined,
    'query-stats-schemas': undefined,
  });
  const { vcpus, vm, disks, iothreads, state } = await session.statistics();
  assert.deepEqual(
    [vcpus.indexes.length, vm.size, disks.length, iothreads.length, state],
    [0, 0, 1, 1, 'running'],
  );
  assert.ok(!server.received.includes('query-stats'), 'what it does not have is not asked for');
});

test('a monitor with another UUID belongs to another VM', async (context) => {
  const { session, server } = await start(context, {}, '99999999-2222-3333-4444-555555555541');
  await assert.rejects(session.statistics(), { kind: 'denied', reason: /belongs to VM 22222222/ });
  assert.ok(!server.received.includes('query-stats'));
  await until(() => server.clients.length === 0, 'it is not kept from its rightful client');
});

test('after a failure the monitor is not queried, longer each time, until it works again', async (context) => {
  const { session, server, path, clock } = await start(context);
  await session.statistics();
  await server.close();
  const broken = await qmpServer(context, path, {}, hangsUp('garbage\n'));
  await assert.rejects(session.statistics());
  for (const backoff of [5000, 10_000, 20_000]) {
    const before = broken.connections;
    clock.ms += backoff - 1;
    await assert.rejects(session.statistics());
    assert.equal(broken.connections, before, 'no connection during back-off');
    clock.ms += 1;
    await assert.rejects(session.statistics(), { kind: 'malformed' });
    assert.equal(broken.connections, before + 1, 'a new attempt after it');
  }
  await broken.close();
  await qmpServer(context, path, REPLIES);
  clock.ms += 40_000;
  assert.equal((await session.statistics()).state, 'running');
  assert.equal(session.isUp, true);
});

test('a monitor whose replies are each in time, but not all together, times out', async (context) => {
  const clock = { ms: 0 };
  const server = await qmpServer(context, socketPath(context), REPLIES, {
    onCommand: (_client, _request, reply) => {
      clock.ms += PATIENCE_MS / 2;
      reply();
    },
  });
  const session = new QmpSession(server.path, UUID, PATIENCE_MS, () => clock.ms);
  context.after(() => session.close());
  await assert.rejects(session.statistics(), {
    kind: 'timeout',
    reason: `no statistics in ${PATIENCE_MS} ms`,
  });
  const asked = server.received.length;
  await assert.rejects(session.statistics(), { kind: 'timeout' });
  assert.equal(server.received.length, asked, 'no command during back-off');
});

test('a caller does not wait for a reply that is already late', async (context) => {
  const clock = { ms: 0 };
  const server = await qmpServer(context, socketPath(context), REPLIES, IGNORES_COMMANDS);
  const session = new QmpSession(server.path, UUID, 2 * PATIENCE_MS, () => clock.ms);
  context.after(() => session.close());
  const first = assert.rejects(session.statistics());
  await until(() => server.received.length > 1);
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
  await until(() => server.clients.length === 0);
  await assert.rejects(session.statistics(), { kind: 'vanished' });
});

test('a VM that exits between two scrapes is one failure, not a crash', async (context) => {
  const { session, server } = await start(context);
  await session.statistics();
  await server.close();
  await assert.rejects(session.statistics(), { name: 'SourceError' });
});

test('I/Os and a live migration are two short requests on an open connection, and no vCPU is interrupted', async (context) => {
  const { session, server } = await start(context);
  const { disks } = await session.statistics();
  const before = server.received.length;
  assert.deepEqual((await session.storage()).disks, disks);
  assert.deepEqual(server.received.slice(before), ['query-blockstats', 'query-migrate']);
});

test('I/Os of a monitor that was never queried, or was lost, come from a complete round', async (context) => {
  const { session, server } = await start(context);
  assert.ok((await session.storage()).disks.length > 0);
  for (const client of server.clients) client.destroy();
  await assert.rejects(session.storage());
  assert.equal(session.isUp, false);
});
