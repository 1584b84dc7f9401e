import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT, startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { parseSamples, sample } from '../../testing/metrics.ts';

const MAIN = `${ROOT}dist/exporter/main.js`;
const HOST = `--path.rootfs=${ROOT}test/fixtures/hosts/linux-nvme-vhost/t0`;
/** systemd kills after 15 s; a blocked daemon neither starts nor ends. */
const PATIENCE_MS = 10_000;

/** The daemon, with a standard output that is full and has no reader. */
function startBlocked(context: TestContext, stdout: 'pipe' | number): ChildProcess {
  const state = temporaryFolder(context);
  const serve = [
    process.execPath,
    MAIN,
    'serve',
    HOST,
    '--web.listen-address=127.0.0.1:0',
    '--web.enable-lifecycle',
  ];
  const script = 'timeout 0.5 cat /dev/zero; exec "$@"';
  const args = ['-c', script, 'sh', ...serve, `--state.dir=${state}`];
  const child = spawn('sh', args, { stdio: ['ignore', stdout, 'inherit'] });
  context.after(() => void child.kill('SIGKILL'));
  return child;
}

/** A pipe as a shell makes it; Node's own "pipe" is a socket, as systemd's to the journal. */
function namedPipe(context: TestContext): number {
  const folder = mkdtempSync(join(tmpdir(), 'kt-log-'));
  const path = join(folder, 'pipe');
  assert.equal(spawnSync('mkfifo', [path]).status, 0);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, 'w');
  context.after(() => {
    closeSync(reader);
    closeSync(writer);
    rmSync(folder, { recursive: true });
  });
  return writer;
}

/** The port on which a process listens, from the kernel, as its log says nothing. */
function portOf(pid: number): number | undefined {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      inodes.add(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? '');
    } catch {
      // The port is closed by now.
    }
  }
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    if (state === '0A' && inodes.has(inode)) return Number.parseInt(local.split(':')[1] ?? '', 16);
  }
  return undefined;
}

async function listeningPort({ pid = 0 }: ChildProcess): Promise<number> {
  const end = performance.now() + 2 * PATIENCE_MS;
  for (;;) {
    const port = portOf(pid);
    if (port !== undefined) return port;
    if (performance.now() > end) assert.fail('the daemon does not listen');
    await sleep(50);
  }
}

async function end(child: ChildProcess): Promise<unknown> {
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  return Promise.race([exited, sleep(PATIENCE_MS, 'SIGTERM was not heeded', { ref: false })]);
}

for (const kind of ['socket', 'pipe'] as const) {
  test(`a log (${kind}) whose reader has stopped blocks neither scrapes nor the stop`, async (context) => {
    const child = startBlocked(context, kind === 'socket' ? 'pipe' : namedPipe(context));
    const url = `http://127.0.0.1:${await listeningPort(child)}`;
    const get = (path: string, method = 'GET'): Promise<Response> =>
      fetch(`${url}${path}`, { method, signal: AbortSignal.timeout(PATIENCE_MS) });
    for (let i = 0; i < 20; i++) assert.equal((await get('/-/reload', 'POST')).status, 200);
    const samples = parseSamples(await (await get('/metrics')).text());
    // The daemon buffers a few lines for the reader.
    assert.equal(sample(samples, 'kvm_telemetry_log_lines_dropped_total'), 0);
    assert.equal(await end(child), 0);
  });
}

test("the daemon survives the end of its log's reader and counts the lost lines", async (context) => {
  const { child, metrics, get } = await startDaemon(context, [HOST, '--web.enable-lifecycle']);
  child.stdout?.destroy();
  const reload = async (): Promise<void> => {
    const url = (await get('/-/healthy')).url.replace('healthy', 'reload');
    assert.equal((await fetch(url, { method: 'POST' })).status, 200);
  };
  for (let i = 0; i < 3; i++) await reload();
  assert.ok(sample(parseSamples(await metrics()), 'kvm_telemetry_log_lines_dropped_total') >= 1);
  assert.equal(await end(child), 0);
});

test('a demo of a scenario that does not exist prints the nearest, or all, and exits at once', () => {
  const demo = (scenario: string) =>
    spawnSync(process.execPath, [MAIN, 'demo', '--scenario', scenario], {
      encoding: 'utf8',
      timeout: 15_000,
    });
  const { status, stderr } = demo('bogus');
  assert.match(stderr, /no scenario "bogus": use one of .*quiet/);
  assert.equal(status, 2);
  assert.match(demo('trubled').stderr, /no scenario "trubled": did you mean "troubled"\?/);
});
