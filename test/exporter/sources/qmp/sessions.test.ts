import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { RemoteResult } from '../../../../exporter/model/remote.ts';
import { QmpSessions } from '../../../../exporter/sources/qmp/sessions.ts';
import { IGNORES_COMMANDS, late, NO_GREETING } from '../../../../lab/simhost/qmp/faults.ts';
import type { QmpFault, QmpServer } from '../../../../lab/simhost/qmp/server.ts';
import { capturedReplies } from '../../../../testing/captured-monitor.ts';
import { inventoryVm } from '../../../../testing/inventory-vm.ts';
import { PATIENCE_MS, until } from '../../../../testing/patience.ts';
import { qmpServer } from '../../../../testing/qmp-server.ts';
import { SOCKETS, type SocketHost, socketHost } from '../../../../testing/qmp-sockets.ts';
import { watchUnhandledRejections } from '../../../../testing/unhandled-rejections.ts';

watchUnhandledRejections();

const REPLIES = capturedReplies('linux-nvme-vhost', 't0', 'vm-a');
const PIDS = [10, 20];

interface Started {
  readonly context: TestContext;
  readonly host: SocketHost;
  readonly sessions: QmpSessions;
  readonly monitors: QmpServer[];
}

/** Two VMs, each with a monitor. */
async function start(context: TestContext, timeoutMs = PATIENCE_MS): Promise<Started> {
  const host = socketHost(context);
  const monitors: QmpServer[] = [];
  for (const pid of PIDS) {
    monitors.push(await qmpServer(context, host.real(`${SOCKETS}/${pid}.sock`), REPLIES));
    host.holds(pid, [pid * 10]);
  }
  host.listening(...PIDS.map((pid) => [`${SOCKETS}/${pid}.sock`, pid * 10] as const));
  const sessions = new QmpSessions(host.host, { rules: host.rules, timeoutMs });
  context.after(() => sessions.close());
  return { context, host, sessions, monitors };
}

const VMS = PIDS.map((pid) => inventoryVm(pid));

test('only VMs with a monitor are queried', async (context) => {
  const { sessions } = await start(context);
  const vms = [...VMS, inventoryVm(30), inventoryVm(10, { key: '40:1', pid: 40, vmm: 'firecracker' })];
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

test('the connection is closed when the VM ends, the others stay', async (context) => {
  const { sessions, monitors } = await start(context);
  sessions.locate(VMS, true);
  await sessions.query(VMS);
  sessions.locate(VMS.slice(1), false);
  await until(() => monitors[0]?.clients.length === 0);
  assert.equal(monitors[1]?.clients.length, 1);
  assert.equal(sessions.has('10:1000'), false);
  sessions.close();
  await until(() => monitors[1]?.clients.length === 0);
});

/** Replaces the monitor of the first VM. */
async function injectFault({ monitors, context, host }: Started, fault: QmpFault): Promise<QmpServer> {
  await monitors[0]?.close();
  return qmpServer(context, host.real(`${SOCKETS}/10.sock`), REPLIES, fault);
}

/** Queries all VMs, and lets the timeout pass as soon as the second VM has replied. */
async function queryUntilTimeout({ sessions, context }: Started): Promise<RemoteResult> {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const result = sessions.query(VMS);
  await sessions.query(VMS.slice(1));
  context.mock.timers.tick(PATIENCE_MS);
  context.mock.timers.reset();
  return result;
}

test('a hanging VM loses only its own statistics', async (context) => {
  const started = await start(context);
  const { sessions } = started;
  const hung = await injectFault(started, IGNORES_COMMANDS);
  sessions.locate(VMS, true);
  const { statistics, problems } = await queryUntilTimeout(started);
  assert.deepEqual([...statistics.keys()], ['20:1000']);
  assert.equal(problems[0]?.kind, 'timeout');
  const received = hung.received.length;
  await sessions.query(VMS);
  assert.equal(hung.received.length, received, 'no command during back-off');
});

test('a VM with late replies loses only its own statistics', async (context) => {
  const started = await start(context);
  await injectFault(started, late(PATIENCE_MS / 2));
  started.sessions.locate(VMS, true);
  for (let i = 0; i < 3; i++)
    assert.deepEqual([...(await queryUntilTimeout(started)).statistics.keys()], ['20:1000']);
});

test('a caller with an earlier deadline gets the available statistics', async (context) => {
  const started = await start(context, 2 * PATIENCE_MS);
  const { sessions } = started;
  await injectFault(started, NO_GREETING);
  sessions.locate(VMS, true);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const result = sessions.query(VMS, 100);
  await sessions.query(VMS.slice(1));
  context.mock.timers.tick(100);
  assert.deepEqual([...(await result).statistics.keys()], ['20:1000']);
});

test('a socket that appears later is found by a full search only', async (context) => {
  const { host, sessions } = await start(context);
  host.listening();
  sessions.locate(VMS, false);
  host.listening([`${SOCKETS}/10.sock`, 100]);
  sessions.locate(VMS, false);
  assert.equal(sessions.has('10:1000'), false);
  sessions.locate(VMS, true);
  assert.equal(sessions.has('10:1000'), true);
});

test('after a failure the path is resolved again: it may belong to another VM', async (context) => {
  const { host, sessions, monitors } = await start(context);
  sessions.locate(VMS, true);
  await sessions.query(VMS);
  await monitors[0]?.close();
  await sessions.query(VMS);
  host.listening([`${SOCKETS}/10.sock`, 999], [`${SOCKETS}/20.sock`, 200]);
  sessions.locate(VMS, true);
  assert.equal(sessions.has('10:1000'), false);
  assert.equal(sessions.has('20:1000'), true);
});

test('a monitor that closes while its VM ends is no failure, one whose VM keeps running is', async (context) => {
  const { host, sessions, monitors } = await start(context);
  sessions.locate(VMS, true);
  await sessions.query(VMS);
  for (const each of monitors) await each.close();
  // The process goes a moment after its monitor.
  setTimeout(() => host.remove('proc/10'), 5);
  const { problems } = await sessions.query(VMS);
  assert.deepEqual(
    problems.map(({ path }) => path),
    [host.real(`${SOCKETS}/20.sock`)],
  );
});
