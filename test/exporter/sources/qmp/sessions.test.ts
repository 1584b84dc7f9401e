import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { QmpSessions } from '../../../../exporter/sources/qmp/sessions.ts';
import { capturedReplies } from '../../../../testing/captured-host.ts';
import { fakeVm, SOCKETS, type SocketHost, socketHost } from '../../../../testing/fake-vm.ts';
import { PATIENCE_MS, until } from '../../../../testing/patience.ts';
import { listen, type Monitor, monitor, send } from '../../../../testing/qmp-server.ts';
import { negotiated, watchUnhandledRejections } from '../../../probes/qmp-client.ts';

watchUnhandledRejections();

const REPLIES = capturedReplies('linux-nvme-vhost', 't0', 'vm-a');
const PIDS = [10, 20];

interface Started {
  readonly host: SocketHost;
  readonly sessions: QmpSessions;
  readonly monitors: Monitor[];
}

/** Two VMs, each with a monitor. */
async function start(context: TestContext, timeoutMs = 20_000): Promise<Started> {
  const host = socketHost(context);
  const monitors: Monitor[] = [];
  for (const pid of PIDS) {
    monitors.push(await monitor(context, host.real(`${SOCKETS}/${pid}.sock`), REPLIES));
    host.holds(pid, [pid * 10]);
  }
  host.listening(...PIDS.map((pid) => [`${SOCKETS}/${pid}.sock`, pid * 10] as const));
  const sessions = new QmpSessions(host.host, () => ({ rules: host.rules, timeoutMs }));
  context.after(() => sessions.close());
  return { host, sessions, monitors };
}

const VMS = PIDS.map((pid) => fakeVm(pid));

test('VMs with a monitor are asked, those without are not', async (context) => {
  const { sessions } = await start(context, 10_000);
  const vms = [...VMS, fakeVm(30), fakeVm(10, { key: '40:1', pid: 40, vmm: 'firecracker' })];
  sessions.locate(vms, true);
  const { statistics, queried, problems } = await sessions.query(vms);
  assert.deepEqual([...queried], ['10:1000', '20:1000']);
  assert.deepEqual([statistics.size, problems.length], [2, 0]);
  assert.equal(sessions.versionOf('10:1000'), '7.2.22');
});

test('hints of threads stay the same object while nothing changes', async (context) => {
  const { sessions } = await start(context);
  sessions.locate(VMS, true);
  assert.equal(sessions.hintsOf('10:1000'), undefined);
  await sessions.query(VMS);
  const hints = sessions.hintsOf('10:1000');
  assert.equal(hints?.vcpus.get(254), 1);
  await sessions.query(VMS);
  assert.equal(sessions.hintsOf('10:1000'), hints);
});

test('the connection is closed when the VM goes, the others stay', async (context) => {
  const { sessions, monitors } = await start(context);
  sessions.locate(VMS, true);
  await sessions.query(VMS);
  sessions.locate(VMS.slice(1), false);
  await until(() => monitors[0]?.clients.size === 0);
  assert.equal(monitors[1]?.clients.size, 1);
  assert.equal(sessions.has('10:1000'), false);
  sessions.close();
  await until(() => monitors[1]?.clients.size === 0);
});

test('a VM that hangs costs its own statistics and the time allowed, no more', async (context) => {
  const { host, sessions, monitors } = await start(context, 2000);
  monitors[0]?.close();
  const hung = await negotiated(context, host.real(`${SOCKETS}/10.sock`), () => undefined);
  sessions.locate(VMS, true);
  const begin = performance.now();
  const { statistics, problems } = await sessions.query(VMS);
  assert.ok(performance.now() - begin < PATIENCE_MS);
  assert.deepEqual([...statistics.keys()], ['20:1000']);
  assert.equal(problems[0]?.kind, 'timeout');
  const queried = hung.received.length;
  await sessions.query(VMS);
  assert.equal(hung.received.length, queried, 'left alone');
});

test('who drips its answers is cut off at the time for one VM', async (context) => {
  const { host, sessions, monitors } = await start(context, 2000);
  monitors[0]?.close();
  await negotiated(context, host.real(`${SOCKETS}/10.sock`), (socket, { execute, id }) => {
    setTimeout(() => send(socket, { return: REPLIES[execute], id }), 1500);
  });
  sessions.locate(VMS, true);
  for (let i = 0; i < 3; i++) {
    // Did it wait for all answers, it would have them.
    assert.deepEqual([...(await sessions.query(VMS)).statistics.keys()], ['20:1000']);
  }
});

test('a caller in a hurry gets what there is', async (context) => {
  const { host, sessions, monitors } = await start(context, 2 * PATIENCE_MS);
  monitors[0]?.close();
  await listen(context, host.real(`${SOCKETS}/10.sock`), [], () => undefined);
  sessions.locate(VMS, true);
  const begin = performance.now();
  assert.deepEqual([...(await sessions.query(VMS, 100)).statistics.keys()], ['20:1000']);
  assert.ok(performance.now() - begin < PATIENCE_MS);
});

test('a socket that comes later is found by a full look only', async (context) => {
  const { host, sessions } = await start(context);
  host.listening();
  sessions.locate(VMS, false);
  host.listening([`${SOCKETS}/10.sock`, 100]);
  sessions.locate(VMS, false);
  assert.equal(sessions.has('10:1000'), false);
  sessions.locate(VMS, true);
  assert.equal(sessions.has('10:1000'), true);
});

test('after a failure the path is looked up anew: it may be another VM’s by now', async (context) => {
  const { host, sessions, monitors } = await start(context);
  sessions.locate(VMS, true);
  await sessions.query(VMS);
  monitors[0]?.close();
  await sleep(20);
  await sessions.query(VMS);
  host.listening([`${SOCKETS}/10.sock`, 999], [`${SOCKETS}/20.sock`, 200]);
  sessions.locate(VMS, true);
  assert.equal(sessions.has('10:1000'), false);
  assert.equal(sessions.has('20:1000'), true);
});

test('a monitor that closes as its VM ends is no failure, one whose VM lives on is', async (context) => {
  const { host, sessions, monitors } = await start(context);
  sessions.locate(VMS, true);
  await sessions.query(VMS);
  for (const each of monitors) each.close();
  // The process goes a moment after its monitor.
  setTimeout(() => host.remove('proc/10'), 5);
  const { problems } = await sessions.query(VMS);
  assert.deepEqual(
    problems.map(({ path }) => path),
    [host.real(`${SOCKETS}/20.sock`)],
  );
});
