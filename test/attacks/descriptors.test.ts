import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import { buildTinyVm, canRunTinyVms, startTinyVm } from '../support/tiny-vm.ts';
import { has, hasTool } from '../support/tools.ts';

const LIMIT = 64;
const WAIT_MS = 60_000;
const TRACEPOINTS = '/sys/kernel/tracing/events/kvm';

/** Connections that ask for nothing and hold a descriptor of the daemon each. */
function holdDescriptors(context: TestContext, daemon: Daemon): () => void {
  const { port } = new URL(daemon.url);
  const sockets: Socket[] = Array.from({ length: 2 * LIMIT }, () =>
    connect(Number(port), '127.0.0.1').on('error', () => undefined),
  );
  const release = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  context.after(release);
  return release;
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const start = Date.now(); Date.now() - start < WAIT_MS; ) {
    if (await isSo()) return;
    await sleep(100);
  }
  assert.fail(`not in ${WAIT_MS} ms: ${what}`);
}

function says(daemon: Daemon, message: RegExp): number {
  return daemon.log.filter(({ msg }) => message.test(String(msg))).length;
}

/** One request after the other over one connection: a second one would not be let in. */
async function oldConnection(daemon: Daemon): Promise<{ metrics(): Promise<string> }> {
  const socket = connect(Number(new URL(daemon.url).port), '127.0.0.1');
  let received = '';
  socket.on('data', (chunk) => {
    received += String(chunk);
  });
  const metrics = async (): Promise<string> => {
    received = '';
    socket.write('GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await until('an answer', () => received.endsWith('\r\n0\r\n\r\n'));
    return received;
  };
  await metrics();
  return { metrics };
}

test('without free descriptors the daemon lives, says so once, and is well again when there are some', async (context) => {
  if (!hasTool(context, 'prlimit', 'util-linux') || !canRunTinyVms(context)) return;
  if (!has(context, existsSync(TRACEPOINTS), `${TRACEPOINTS}: mount -t tracefs none /sys/kernel/tracing`))
    return;
  const vm = await startTinyVm(context, buildTinyVm(context), 5 * WAIT_MS);
  const flags = ['--trace.backend=perf', '--inventory.schedule=* * * * * *'];
  const daemon = await startDaemon(context, flags, {}, 'serve', ['prlimit', `--nofile=${LIMIT}:${LIMIT}`]);
  const connection = await oldConnection(daemon);
  const own = new RegExp(`kvm_vm_info\\{vm="${vm.pid}"`);
  assert.match(await connection.metrics(), own);

  const release = holdDescriptors(context, daemon);
  await until('all are in use', () => readdirSync(`/proc/${daemon.pid}/fd`).length >= LIMIT);
  // A VM that comes now makes the daemon start a perf, for which there is no descriptor.
  await startTinyVm(context, buildTinyVm(context), 5 * WAIT_MS);
  await until('it is said', () => says(daemon, /^no file descriptor is free/) > 0);
  for (let i = 0; i < 3; i++) {
    const text = await connection.metrics();
    assert.match(text, /kvm_telemetry_probe_success\{probe="inventory"\} 0/);
    // What cannot be read is not gone.
    assert.match(text, own);
  }
  assert.equal(daemon.child.exitCode, null);

  release();
  await until('its end is said', async () => {
    await connection.metrics();
    return says(daemon, /^file descriptors are free again/) > 0;
  });
  assert.match(await connection.metrics(), /kvm_telemetry_probe_success\{probe="inventory"\} 1/);
  const lines = daemon.log.filter((line) => /EMFILE/.test(JSON.stringify(line)));
  assert.equal(lines.length, 1, JSON.stringify(lines));
  assert.equal(await daemon.stop(), 0);
});
