import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { hasKvm } from '../../testing/qemu.ts';
import { has, which } from '../../testing/tools.ts';

const PATIENCE_MS = 60_000;

/** What tests start: a real exporter, a process in a session of its own, a QEMU that becomes a daemon. */
const STARTS = `
import { spawn } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { startDaemon } from '${ROOT}dist/testing/daemon.js';
import { startGuest } from '${ROOT}dist/testing/qemu.js';

test('never ends', async (context) => {
  const daemon = process.env.ALONE === '1' ? { pid: process.pid } : await startDaemon(context);
  const own = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
  const pids = [process.pid, process.ppid, daemon.pid, own.pid];
  if (process.env.WITH_QEMU === '1') pids.push(startGuest({ name: 'left-behind', accel: 'kvm' }).pid);
  mkdtempSync(tmpdir() + '/left-');
  writeFileSync(process.env.PIDS + '.new', JSON.stringify({ pids, folder: tmpdir() }));
  renameSync(process.env.PIDS + '.new', process.env.PIDS);
  if (process.env.SPIN === '1') for (;;);
  await new Promise((resolve) => setTimeout(resolve, 600_000));
});
`;

interface Run {
  /** npm, which is the leader of the run's process group. */
  readonly npm: ChildProcess;
  /** The test's process, node's runner, and what the test started. */
  readonly pids: readonly number[];
  readonly folder: string;
  readonly output: () => string;
  readonly exit: Promise<number | null>;
}

/** Starts `npm test` on a project whose only test starts processes and never ends, and waits until they are there. */
async function startRun(context: TestContext, options = '', more: NodeJS.ProcessEnv = {}): Promise<Run> {
  const project = temporaryFolder(context);
  writeFileSync(join(project, 'never.test.mjs'), STARTS);
  writeFileSync(
    join(project, 'run.mjs'),
    `import { runTests } from '${ROOT}scripts/supervise.mjs';
process.exit(await runTests(['${project}/never.test.mjs'], [], { ${options} }));`,
  );
  writeFileSync(join(project, 'package.json'), '{"scripts":{"test":"node run.mjs"}}');
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  const PIDS = join(project, 'pids');
  const npm = spawn('npm', ['test'], {
    cwd: project,
    env: { ...environment, PIDS, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  for (const stream of [npm.stdout, npm.stderr])
    stream.on('data', (chunk) => {
      output += String(chunk);
    });
  const exit = new Promise<number | null>((resolve) => npm.once('exit', resolve));
  await until(
    () => existsSync(PIDS),
    () => output,
  );
  const { pids, folder } = JSON.parse(readFileSync(PIDS, 'utf8')) as { pids: number[]; folder: string };
  assert.deepEqual(pids.filter(isAlive), pids);
  return { npm, pids, folder, output: () => output, exit };
}

async function until(condition: () => boolean, otherwise: () => string): Promise<void> {
  for (const deadline = performance.now() + PATIENCE_MS; !condition(); await sleep(20))
    if (performance.now() > deadline) throw new Error(otherwise());
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
}

async function nothingIsLeft({ pids, folder, output }: Run): Promise<void> {
  await until(
    () => !pids.some(isAlive) && !existsSync(folder),
    () => `alive: ${pids.filter(isAlive)}, folder: ${existsSync(folder)}\n${output()}`,
  );
}

/** The process of run.mjs. */
function supervisor({ npm }: Run): number {
  const found = readdirSync('/proc').find(
    (pid) =>
      /^\d+$/.test(pid) &&
      readOr(`/proc/${pid}/stat`).split(' ')[4] === String(npm.pid) &&
      /^node\0run\.mjs/.test(readOr(`/proc/${pid}/cmdline`)),
  );
  return Number(found);
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

const ENDS: readonly { readonly how: string; readonly end: (run: Run) => void }[] = [
  { how: 'npm is killed', end: ({ npm }) => npm.kill('SIGKILL') },
  { how: 'npm gets SIGTERM', end: ({ npm }) => npm.kill('SIGTERM') },
  { how: 'scripts/test.mjs is killed', end: (run) => process.kill(supervisor(run), 'SIGKILL') },
  { how: "node's runner is killed", end: ({ pids }) => process.kill(pids[1] ?? 0, 'SIGKILL') },
  { how: "the test's own process is killed", end: ({ pids }) => process.kill(pids[0] ?? 0, 'SIGKILL') },
  { how: 'somebody types Ctrl-C', end: ({ npm }) => process.kill(-(npm.pid ?? 0), 'SIGINT') },
];

for (const { how, end } of ENDS) {
  test(`no process of a run is left when ${how}`, async (context) => {
    const run = await startRun(context);
    end(run);
    await nothingIsLeft(run);
    assert.notEqual(await run.exit, 0);
  });
}

test('a test in an endless loop is killed after the time-out of its file, with its children', async (context) => {
  const run = await startRun(context, 'fileMs: 8000', { SPIN: '1', ALONE: '1' });
  assert.equal(await run.exit, 1);
  assert.match(run.output(), /timed out after 8000ms/);
  await nothingIsLeft(run);
});

test('a run has its own time-out', async (context) => {
  const run = await startRun(context, 'runMs: 8000', { ALONE: '1' });
  assert.equal(await run.exit, 1);
  assert.match(run.output(), /The run is ended: it took longer than/);
  await nothingIsLeft(run);
});

test('a QEMU that became a daemon is not left when npm is killed', async (context) => {
  if (!has(context, which('qemu-system-x86_64') !== undefined && hasKvm(), 'QEMU or /dev/kvm is missing'))
    return;
  const run = await startRun(context, '', { WITH_QEMU: '1' });
  assert.equal(run.pids.length, 5);
  run.npm.kill('SIGKILL');
  await nothingIsLeft(run);
});
