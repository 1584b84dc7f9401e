import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { appendFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { rawClient } from '../testing/raw-client.ts';

export type Context = Readonly<{ after(work: () => void): void }>;
export type Tally = { count: number };

const LONGEST_LIFE_MS = 3000;
const SCRAPE_EVERY_MS = 5000;
const SLOW_CLIENTS = 20;
const PAUSE_EVERY_MS = 60_000;
const PAUSE_MS = 4000;
const SHORTAGE_EVERY_MS = 90_000;
const SHORTAGE_MS = 5000;
const HANG_EVERY_MS = 70_000;
const HANG_MS = 8000;
const FULL_EVERY_MS = 80_000;
const FULL_MS = 6000;
const JUMP_EVERY_MS = 45_000;
const JUMPS = ['+1h', '-1h', '+1d', '+0'];

function every(context: Context, ms: number, work: () => void): void {
  const timer = setInterval(work, ms);
  context.after(() => clearInterval(timer));
}

/** VMs that end by themselves; each third is killed. */
export function churn(context: Context, program: string, perSecond: number): Tally {
  const tally = { count: 0 };
  const living = new Set<ChildProcess>();
  every(context, 1000 / perSecond, () => {
    const life = (tally.count * 379) % LONGEST_LIFE_MS;
    const vm = spawn(program, [String(life)], { stdio: 'ignore' });
    living.add(vm);
    vm.once('exit', () => living.delete(vm));
    if (tally.count % 3 === 0) setTimeout(() => vm.kill('SIGKILL'), life / 2);
    tally.count++;
  });
  context.after(() => {
    for (const vm of living) vm.kill('SIGKILL');
  });
  return tally;
}

/** Scrapers with paces of their own. Their failures do not count, because the faults cause some. */
export function fleet(context: Context, url: string, size: number): Tally {
  const tally = { count: 0 };
  let isOver = false;
  context.after(() => {
    isOver = true;
  });
  for (let i = 0; i < size; i++) {
    void (async () => {
      await sleep((i * SCRAPE_EVERY_MS) / size);
      while (!isOver) {
        const response = await fetch(`${url}/metrics`).catch(() => undefined);
        if ((await response?.text().catch(() => undefined)) !== undefined) tally.count++;
        await sleep(SCRAPE_EVERY_MS);
      }
    })();
  }
  return tally;
}

/** Partial requests, and requests whose response nobody reads. New ones replace those that the daemon closes. */
export function slowClients(context: Context, url: string): void {
  let isOver = false;
  context.after(() => {
    isOver = true;
  });
  for (let i = 0; i < SLOW_CLIENTS; i++) {
    const from = `127.0.1.${i + 1}`;
    const say = i % 2 === 0 ? 'GET /metrics HT' : 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const open = (): void => {
      if (isOver) return;
      const client = rawClient(context, url, { from, say });
      client.socket.pause();
      void client.closed.then(() => setTimeout(open, 1000).unref());
    };
    open();
  }
}

/** Begins and ends a fault repeatedly. A fault in progress ends with the context. */
export function pulse(
  context: Context,
  times: { readonly everyMs: number; readonly forMs: number },
  begin: () => void,
  end: () => void,
): Tally {
  const tally = { count: 0 };
  let timer: NodeJS.Timeout | undefined;
  const finish = (): void => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    end();
  };
  context.after(finish);
  every(context, times.everyMs, () => {
    finish();
    begin();
    timer = setTimeout(finish, times.forMs);
    tally.count++;
  });
  return tally;
}

function stopAndGo(context: Context, pid: number, everyMs: number, forMs: number): Tally {
  const send = (signal: NodeJS.Signals) => (): void => void process.kill(pid, signal);
  return pulse(context, { everyMs, forMs }, send('SIGSTOP'), send('SIGCONT'));
}

/** Stops the daemon, as if the host were paused. @param pace multiple of the usual frequency */
export function pauses(context: Context, pid: number, pace: number): Tally {
  return stopAndGo(context, pid, PAUSE_EVERY_MS / pace, PAUSE_MS);
}

/** A QEMU that hangs: its monitor takes connections and requests, and answers none. */
export function hangs(context: Context, pid: number, pace: number): Tally {
  return stopAndGo(context, pid, HANG_EVERY_MS / pace, HANG_MS);
}

/** The wall clock of a process with libfaketime. @param file with its offset */
export function clockJumps(context: Context, file: string, pace: number): Tally {
  const tally = { count: 0 };
  every(context, JUMP_EVERY_MS / pace, () => {
    writeFileSync(`${file}.new`, `${JUMPS[tally.count % JUMPS.length]}\n`);
    renameSync(`${file}.new`, file);
    tally.count++;
  });
  return tally;
}

/** Fills the file system of the log, and makes the daemon log. */
export function fullLog(context: Context, log: string, url: string, pace: number): Tally {
  const filler = `${log}.filler`;
  const begin = (): void => {
    fill(filler);
    // What remains of the log's last page.
    fill(log);
    void fetch(`${url}/-/reload`, { method: 'POST' }).catch(() => undefined);
  };
  const end = (): void => {
    rmSync(filler, { force: true });
    // Ends the line of the filler.
    appendFileSync(log, '\n');
  };
  return pulse(context, { everyMs: FULL_EVERY_MS / pace, forMs: FULL_MS }, begin, end);
}

function fill(file: string): void {
  try {
    for (;;) appendFileSync(file, 'x'.repeat(4096));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

/** Leaves the daemon no free descriptor for a while. */
export function cutDescriptors(context: Context, pid: number, pace: number): Tally {
  const prlimit = (...args: string[]): string =>
    execFileSync('prlimit', [`--pid=${pid}`, ...args], { encoding: 'utf8' }).trim();
  const usual = prlimit('--nofile', '--output=SOFT', '--noheadings');
  // A limit equal to the number of open descriptors would leave closed numbers below it free.
  const begin = (): void => void prlimit('--nofile=3:');
  const end = (): void => void prlimit(`--nofile=${usual}:`);
  return pulse(context, { everyMs: SHORTAGE_EVERY_MS / pace, forMs: SHORTAGE_MS }, begin, end);
}
