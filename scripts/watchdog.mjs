// Kills the processes that a test run leaves behind: `node watchdog.mjs FOLDER`. It waits until its standard
// input ends, which happens however the run ends. Then it kills each process that has the run's folder in its
// arguments or environment.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const [folder] = process.argv.slice(2);
const POLL_MS = 500;
const SWEEPS = 100;

process.stdin.resume();
const ended = new Promise((resolve) => process.stdin.once('end', resolve).once('error', resolve));
let isOver = false;
void ended.then(() => {
  isOver = true;
});
while (!isOver) {
  for (const owned of foldersOfTheDead()) await sweep(owned);
  await Promise.race([ended, sleep(POLL_MS)]);
}
await sweep(folder);
process.exit();

/** Folders of test files whose process has exited. scripts/own-folder.mjs names them. */
function foldersOfTheDead() {
  return readdirSync(folder)
    .filter((name) => /^\d+-\d+$/.test(name))
    .filter((name) => {
      const [pid, start] = name.split('-');
      return startOf(pid) !== start;
    })
    .map((name) => `${folder}/${name}`);
}

/**
 * Kills until no process is left, because a killed process may just have started another one. Then removes
 * the folder.
 */
async function sweep(mark) {
  for (let i = 0; i < SWEEPS; i++) {
    const pids = marked(mark);
    if (pids.length === 0) break;
    for (const pid of pids) kill(pid);
    await sleep(20);
  }
  rmSync(mark, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

function marked(mark) {
  return readdirSync('/proc').filter(
    (pid) =>
      /^\d+$/.test(pid) &&
      Number(pid) !== process.pid &&
      [...words(pid, 'cmdline'), ...words(pid, 'environ').filter(isNoPlace)].some((word) =>
        word.includes(mark),
      ),
  );
}

/** A shell that was started in the folder does not belong to the run. */
function isNoPlace(variable) {
  return !/^(OLD)?PWD=/.test(variable);
}

function words(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1').split('\0');
  } catch {
    return [];
  }
}

function startOf(pid) {
  const [stat = ''] = words(pid, 'stat');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function kill(pid) {
  try {
    process.kill(Number(pid), 'SIGKILL');
  } catch {
    // The process has exited.
  }
}
