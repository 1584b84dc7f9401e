// Runs tests and removes everything that they started, however the run ends. All processes of a run have the
// run's temporary folder in their environment or arguments. The watchdog finds them by it: a daemonized QEMU,
// perf in its own process group, a browser, libvirt's guests.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './prepare.mjs';

const WATCHDOG = fileURLToPath(new URL('watchdog.mjs', import.meta.url));
const OWN_FOLDER = new URL('own-folder.mjs', import.meta.url).href;
/** Longer than any single file takes on two busy cores. */
const FILE_MS = 10 * 60_000;
/** Twice the time of all tests in CI, where a submission times out after 90 minutes. */
const RUN_MS = 50 * 60_000;
/** Time for the runner to print its results. */
const GRACE_MS = 5_000;

/**
 * Test files with one of these parts in their path, or all test files if there are no parts. Exits if no file
 * matches.
 */
export function testFiles(parts) {
  const files = readdirSync(`${root}dist/test`, { recursive: true })
    .filter((name) => name.endsWith('.test.js'))
    // The compiler does not remove the output of a file that was moved.
    .filter((name) => existsSync(`${root}test/${name.replace(/js$/, 'ts')}`))
    // These take minutes, and need an emulated host or Debian's archive: npm run test:lab, test:package, test:container.
    .filter((name) => {
      const folder = ['lab/', 'package/', 'container/'].find((start) => name.startsWith(start));
      return folder === undefined || (folder === parts[0] && folder !== 'lab/');
    })
    .filter((name) => parts.length === 0 || parts.some((part) => name.includes(part)))
    .sort()
    .map((name) => `dist/test/${name}`);
  if (files.length > 0) return files;
  console.error('no tests found');
  process.exit(1);
}

/**
 * Runs test files with node's runner and ends all processes that they started.
 * @param options of `node --test`
 * @returns the exit code
 */
export async function runTests(files, options = [], { fileMs = FILE_MS, runMs = RUN_MS } = {}) {
  const args = ['--import', OWN_FOLDER, '--test', `--test-timeout=${fileMs}`, ...options, ...files];
  return supervise(args, runMs);
}

export async function supervise(args, runMs) {
  const folder = mkdtempSync(join(tmpdir(), 'kt-run-'));
  // Guests of libvirt run as another user.
  chmodSync(folder, 0o755);
  const watchdog = spawn(process.execPath, [WATCHDOG, folder], {
    stdio: ['pipe', 'ignore', 'inherit'],
    // Its own process group, so that a signal to this group does not reach it.
    detached: true,
    env: { PATH: process.env.PATH },
  });
  const swept = new Promise((resolve) => watchdog.once('exit', resolve));
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, TMPDIR: folder },
  });
  let verdict;
  const end = (signal, code, why) => {
    if (why !== undefined) console.error(why);
    verdict ??= code;
    child.kill(signal);
    setTimeout(() => child.kill('SIGKILL'), GRACE_MS).unref();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => end(signal, 128 + constants.signals[signal]));
  const tooLong = `The run is ended: it took longer than ${runMs / 60_000} minutes.`;
  const limit = setTimeout(() => end('SIGTERM', 1, tooLong), runMs);
  const lineage = ancestorsToNpm();
  const orphaned = setInterval(() => {
    if (lineage.some((each) => startOf(each.pid) !== each.start))
      end('SIGTERM', 1, 'The run is ended: npm is gone.');
  }, 500);
  const code = await new Promise((resolve) => child.once('exit', (status) => resolve(status ?? 1)));
  clearTimeout(limit);
  clearInterval(orphaned);
  watchdog.stdin.end();
  await swept;
  return verdict ?? code;
}

/** If npm started this process: npm and the shell in between. Killing npm does not kill this process. */
function ancestorsToNpm() {
  const lineage = [];
  for (let pid = process.ppid; pid > 1 && lineage.length < 4; pid = statusOf(pid).parent) {
    lineage.push({ pid, start: startOf(pid) });
    if (statusOf(pid).name.startsWith('npm')) return lineage;
  }
  return [];
}

function statusOf(pid) {
  const text = readOr(`/proc/${pid}/stat`);
  return {
    name: text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')),
    parent: Number(fields(text)[1] ?? 0),
  };
}

function startOf(pid) {
  return fields(readOr(`/proc/${pid}/stat`))[19];
}

/** Fields of /proc/<pid>/stat after the name, from the state on. */
function fields(text) {
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function readOr(path) {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
