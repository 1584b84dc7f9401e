import { readdirSync, readFileSync } from 'node:fs';
import { type BootOptions, boot, HostDied, type LabHost } from '../lab/host.ts';

/** Give up after this many consecutive boots in which the emulation killed the host. */
const MAX_DEATHS = 3;

/** The work of one boot. Resolves to true when no work is left. */
export type Stint = (host: LabHost) => Promise<boolean>;

/**
 * Boots hosts, one after the other, until the work is done. The emulation sometimes kills a host. The next
 * boot continues with the missing measurements, so a stint must keep its results.
 */
export async function inHosts(options: BootOptions, stint: Stint): Promise<void> {
  let current: LabHost | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void Promise.resolve(current?.stop()).finally(() => process.exit(130));
    });
  }
  for (let deaths = 0; deaths < MAX_DEATHS; ) {
    try {
      current = await boot(options);
      note('the host is up');
      if (await stint(current)) return;
      deaths = 0;
    } catch (error) {
      if (!(error instanceof HostDied) && current?.dead !== true) throw error;
      deaths++;
      note(`the emulated host died: ${String(error).slice(0, 600)}`);
    } finally {
      await current?.stop();
      current = undefined;
    }
  }
  throw new Error(`the emulated host died ${MAX_DEATHS} times in a row`);
}

/** Nanoseconds that each CPU of the host has run, and has waited to run, on this machine. */
export function emulatedCpus(pid: number): { tid: number; run: number; wait: number }[] {
  const tasks = `/proc/${pid}/task`;
  const tids = new Map(
    readdirSync(tasks).map((tid) => [readFileSync(`${tasks}/${tid}/comm`, 'utf8').trim(), tid] as const),
  );
  return [0, 1].map((cpu) => {
    const tid = tids.get(`CPU ${cpu}/TCG`);
    const schedstat = readFileSync(`${tasks}/${tid}/schedstat`, 'utf8');
    const [run = 0, wait = 0] = schedstat.split(' ').map(Number);
    return { tid: Number(tid), run, wait };
  });
}

export function note(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}

/** Formats a Markdown table with the first column left-aligned. */
export function markdown([header = [], ...rows]: readonly (readonly string[])[]): string {
  const ruler = header.map((_, column) => (column === 0 ? '---' : '--:'));
  return [header, ruler, ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('');
}
