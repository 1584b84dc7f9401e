import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { listeningPort } from '../../exporter/cli/listening-port.ts';
import { ROOT, startDaemon } from '../../testing/daemon.ts';
import { hasTool } from '../../testing/tools.ts';

const HOST = `--path.rootfs=${ROOT}test/fixtures/hosts/linux-nvme-vhost/t0`;
const MAIN = `${ROOT}dist/exporter/main.js`;

test('--web.listen-address may be given several times', async (context) => {
  const flags = ['--web.listen-address=127.0.0.1:0', '--web.listen-address=127.0.0.2:0'];
  const daemon = await startDaemon(context, [HOST, ...flags]);
  await daemon.metrics();
  const listening = daemon.log.filter(({ msg }) => msg === 'listening');
  assert.deepEqual(
    listening.map(({ address }) => address),
    ['127.0.0.1:0', '127.0.0.2:0'],
  );
  for (const [i, { port }] of listening.entries())
    assert.match(await (await fetch(`http://127.0.0.${i + 1}:${port}/metrics`)).text(), /^kvm_vm_info\{/m);
  assert.equal(await daemon.stop(), 0);
});

test('if one of several addresses is taken, the exporter ends with code 2', async (context) => {
  const first = await startDaemon(context, [HOST]);
  const { host } = new URL(first.url);
  await assert.rejects(
    startDaemon(context, [HOST, '--web.listen-address=127.0.0.1:0', `--web.listen-address=${host}`]),
    new RegExp(`exit 2: kvm-telemetry: --web.listen-address: cannot listen on "${host}": the port is in use`),
  );
});

test('--web.telemetry-path moves the metrics, and the page links to them', async (context) => {
  const daemon = await startDaemon(context, [HOST, '--web.telemetry-path=/kvm/metrics']);
  const status = async (path: string): Promise<number> => (await daemon.get(path)).status;
  assert.deepEqual([await status('/kvm/metrics'), await status('/metrics')], [200, 404]);
  assert.match(await (await daemon.get('/')).text(), /<a href="\/kvm\/metrics">\/kvm\/metrics<\/a>/);
  const wrong = await fetch(`${daemon.url}/kvm/metrics`, { method: 'POST' });
  assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'GET, HEAD']);
});

test('--log.format=logfmt writes logfmt', async (context) => {
  const child = spawn(
    process.execPath,
    [
      MAIN,
      'serve',
      HOST,
      '--state.dir=/proc/self',
      '--log.format=logfmt',
      '--web.listen-address=127.0.0.1:0',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  context.after(() => child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stdout })) {
    assert.match(line, /^time=\S+ level=\w+ msg=/);
    if (/ msg=listening address=127\.0\.0\.1:0 port=\d+ tls=false$/.test(line)) break;
  }
});

/** What systemd does for a socket unit: sd_listen_fds(3). */
const ACTIVATE = `
import os, socket, sys
family, address = (socket.AF_UNIX, sys.argv[1]) if sys.argv[1] else (socket.AF_INET, ("127.0.0.1", 0))
listening = socket.socket(family)
listening.bind(address)
listening.listen()
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
`;

/** Starts `serve` with a socket. @param path of a Unix socket; empty for TCP */
function activated(context: TestContext, path: string): ChildProcess | undefined {
  if (!hasTool(context, 'python3', 'python3')) return undefined;
  const serve = ['serve', HOST, '--state.dir=/proc/self', '--web.systemd-socket'];
  const child = spawn('python3', ['-c', ACTIVATE, path, process.execPath, MAIN, ...serve], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  context.after(() => child.kill('SIGKILL'));
  return child;
}

test('--web.systemd-socket serves on the socket that systemd opened', async (context) => {
  const child = activated(context, '');
  if (child === undefined) return;
  const url = `http://127.0.0.1:${await listeningPort(child)}/metrics`;
  assert.match(await (await fetch(url)).text(), /^kvm_vm_info\{/m);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('--web.systemd-socket refuses a Unix socket', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'kt-socket-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const child = activated(context, join(folder, 'socket'));
  if (child?.stderr === undefined || child.stderr === null) return;
  assert.match(
    await text(child.stderr),
    /^kvm-telemetry: --web\.systemd-socket: cannot listen on descriptor 3: not a TCP socket: give ListenStream= /m,
  );
});

test('--web.systemd-socket without a socket is an error', async (context) => {
  for (const environment of [{}, { LISTEN_FDS: '1', LISTEN_PID: '1' }])
    await assert.rejects(
      startDaemon(context, [HOST, '--web.systemd-socket'], environment),
      /exit 2: kvm-telemetry: --web\.systemd-socket: systemd passed no socket: start the unit kvm-telemetry\.socket/,
    );
});
