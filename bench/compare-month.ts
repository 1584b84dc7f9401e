import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { ROOT } from '../testing/daemon.ts';
import { measureCompare } from './compare-process.ts';
import { monthServer } from './month-server.ts';
import { monthOfVictoria } from './month-victoria.ts';

// The time and memory of `compare` over 30 days of 50 VMs that are scraped every 15 s: all metrics, two stages. The server is
// an imitation that sums at once, so the time is that of compare; with `--server victoria-metrics` it is a real one.

const { values } = parseArgs({
  options: {
    vms: { type: 'string', default: '50' },
    days: { type: 'string', default: '30' },
    server: { type: 'string', default: 'imitated' },
    /** Folder of the real server's samples. */
    folder: { type: 'string', default: join(ROOT, 'dist') },
  },
});
const INTERVAL = 15;
const end = Math.floor(Date.now() / 1000 / INTERVAL) * INTERVAL;
const start = end - Number(values.days) * 86_400;
const month = { vms: Number(values.vms), start, end, interval: INTERVAL };
const what = `${values.days} days of ${values.vms} VMs`;

const compare = (url: string): ReturnType<typeof measureCompare> =>
  measureCompare([
    ...['--prometheus', url, '--vm', '*', '--by', 'stage', '--format', 'html'],
    ...['--from', `${start}`, '--to', `${end}`],
  ]);

exitBySignal();
process.exitCode = values.server === 'victoria-metrics' ? await ofVictoria() : await ofImitation();

async function ofImitation(): Promise<number> {
  const server = await monthServer(month);
  const { code, text } = await compare(server.url);
  server.stop();
  console.log(`${what}: ${text}, ${server.requests} requests, ${(server.bytes / 1e6).toFixed(0)} MB of JSON`);
  return code;
}

async function ofVictoria(): Promise<number> {
  const folder = mkdtempSync(join(values.folder, 'month-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const server = await monthOfVictoria(folder, month);
  const { series, samples, bytes, importSeconds } = server;
  console.log(
    `${what}: ${series} series, ${(samples / 1e6).toFixed(0)} million samples, ${(bytes / 1e9).toFixed(2)} GB, imported in ${importSeconds.toFixed(0)} s`,
  );
  let worst = 0;
  // The first query starts with empty caches of the server.
  for (const run of [1, 2]) {
    const before = server.cost().cpu;
    const { code, text } = await compare(server.url);
    const { cpu, peakMiB } = server.cost();
    console.log(
      `run ${run}: ${text}; the server: ${(cpu - before).toFixed(1)} s of CPU time, ${peakMiB.toFixed(0)} MiB at the peak`,
    );
    worst = Math.max(worst, code);
  }
  await server.stop();
  return worst;
}
