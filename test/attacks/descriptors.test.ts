import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Daemon, ROOT, startDaemon } from '../../testing/daemon.ts';
import { buildTinyVm, canRunTinyVms, startTinyVm } from '../../testing/tiny-vm.ts';
import { hasTool } from '../../testing/tools.ts';

const LIMIT = 64;
const LIMITED = ['prlimit', `--nofile=${LIMIT}:${LIMIT}`];
const WAIT_MS = 60_000;
/** Changes the limit of a running process: with fewer than it has open, nothing more can be opened. */
function limit(daemon: Daemon, descriptors: number): void {
  execFileSync('prlimit', [`--pid=${daemon.pid}`, `--nofile=${descriptors}:${LIMIT}`]);
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const start = Date.now(); Date.now() - start < WAIT_MS; ) {
    if (await isSo()) return;
    await sleep(100);
  }
  assert.fail(`not in ${WAIT_MS} ms: ${what}`);
}

function timesLogged(daemon: Daemon, message: RegExp): number {
  return daemon.log.filter(({ msg }) => message.test(String(msg))).length;
}

/** All requests use one connection, because a second one would be rejected. */
async function oldConnection(daemon: Daemon): Promise<{ metrics(): Promise<string> }> {
  const socket = connect(Number(new URL(daemon.url).port), '127.0.0.1');
  let received = '';
  socket.on('data', (chunk) => {
    received += String(chunk);
  });
  const metrics = async (): Promise<string> => {
    received = '';
    socket.write('GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await until('a response', () => received.endsWith('\r\n0\r\n\r\n'));
    return received;
  };
  await metrics();
  return { metrics };
}

test('without free descriptors the daemon survives, logs it once and recovers', async (context) => {
  if (!hasTool(context, 'prlimit', 'util-linux') || !canRunTinyVms(context)) return;
  const vm = await startTinyVm(context, buildTinyVm(context), 5 * WAIT_MS);
  const flags = ['--inventory.schedule=* * * * * *'];
  const daemon = await startDaemon(context, flags, {}, 'serve', LIMITED);
  const connection = await oldConnection(daemon);
  const own = new RegExp(`kvm_vm_info\\{vm="${vm.pid}"`);
  assert.match(await connection.metrics(), own);

  limit(daemon, 3);
  await until('the daemon logs it', () => timesLogged(daemon, /^no file descriptor is free/) > 0);
  for (let i = 0; i < 3; i++) {
    const text = await connection.metrics();
    assert.match(text, /kvm_telemetry_collector_success\{collector="inventory"\} 0/);
    // A VM that cannot be read has not ended.
    assert.match(text, own);
  }
  assert.equal(daemon.child.exitCode, null);

  limit(daemon, LIMIT);
  await until('the daemon logs the end', async () => {
    await connection.metrics();
    return timesLogged(daemon, /^file descriptors are free again/) > 0;
  });
  assert.match(await connection.metrics(), /kvm_telemetry_collector_success\{collector="inventory"\} 1/);
  const lines = daemon.log.filter((line) => /EMFILE/.test(JSON.stringify(line)));
  assert.equal(lines.length, 1, JSON.stringify(lines));
  assert.equal(await daemon.stop(), 0);
});

/** Uses up all descriptors, then starts each kind of child of the daemon, and prints the results. */
const STARTS_CHILDREN = `
  import { openSync } from 'node:fs';
  import { createRequire } from 'node:module';
  // As main.ts does: import opens all modules at once, which exceeds the limit.
  const require = createRequire(process.cwd() + '/');
  const { Virsh } = require('./dist/exporter/sources/libvirt/virsh.js');
  const { notifyReady } = require('./dist/exporter/daemon/systemd.js');
  const { perfStarter } = require('./dist/exporter/trace/perf-process.js');
  process.stdout.write('');
  try {
    for (;;) openSync('/dev/null');
  } catch {}
  const perf = await new Promise((resolve) => {
    const child = perfStarter(1000)([], [1], { counted() {}, ended: ({ kind }) => resolve(kind) });
    child.end();
  });
  const virsh = await new Virsh().domstats('test:///default', 5000).catch(({ kind }) => kind);
  const notified = await notifyReady({ PATH: process.env.PATH, NOTIFY_SOCKET: '/nowhere' }, 1);
  process.stdout.write(JSON.stringify({ perf, virsh, notified }));
`;

test('a child process without a free descriptor is an error and not a crash', (context) => {
  if (!hasTool(context, 'prlimit', 'util-linux')) return;
  const args = [...LIMITED.slice(1), process.execPath, '--input-type=module', '--eval', STARTS_CHILDREN];
  const stdout = execFileSync('prlimit', args, { cwd: ROOT, encoding: 'utf8' });
  const { perf, virsh, notified } = JSON.parse(stdout) as Record<string, string>;
  assert.deepEqual({ perf, virsh }, { perf: 'exhausted', virsh: 'exhausted' });
  assert.match(notified ?? '', /EMFILE/);
});
