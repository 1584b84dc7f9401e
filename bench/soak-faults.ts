import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { rawClient } from '../testing/raw-client.ts';

type Context = Readonly<{ after(work: () => void): void }>;
type Tally = { count: number };

const LONGEST_LIFE_MS = 3000;
const SCRAPE_EVERY_MS = 5000;
const SLOW_CLIENTS = 20;
const PAUSE_EVERY_MS = 60_000;
const PAUSE_MS = 4000;
const SHORTAGE_EVERY_MS = 90_000;
const SHORTAGE_MS = 5000;
/** The unit's LimitNOFILE. */
const LIMIT = 65_536;

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

/** Scrapers of their own pace; a failure of theirs is counted by nobody, as the faults cause some. */
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

/** Half of a request, or a request whose response nobody reads; new ones in place of those that were closed. */
export function slowClients(context: Context, url: string): void {
  for (let i = 0; i < SLOW_CLIENTS; i++) {
    const from = `127.0.1.${i + 1}`;
    const say = i % 2 === 0 ? 'GET /metrics HT' : 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const open = (): void => {
      const client = rawClient(context, url, { from, say });
      client.socket.pause();
      void client.closed.then(() => setTimeout(open, 1000).unref());
    };
    open();
  }
}

/** As if the host were paused. */
export function pauses(context: Context, pid: number): void {
  every(context, PAUSE_EVERY_MS, () => {
    process.kill(pid, 'SIGSTOP');
    setTimeout(() => process.kill(pid, 'SIGCONT'), PAUSE_MS);
  });
}

/** Leaves the daemon no free descriptor for a while. */
export function cutDescriptors(context: Context, pid: number): void {
  const limit = (soft: number): void => {
    spawnSync('prlimit', ['--pid', String(pid), `--nofile=${soft}:${LIMIT}`]);
  };
  limit(LIMIT);
  every(context, SHORTAGE_EVERY_MS, () => {
    limit(readdirSync(`/proc/${pid}/fd`).length);
    setTimeout(() => limit(LIMIT), SHORTAGE_MS);
  });
}
