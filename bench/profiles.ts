import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { startDemoHost } from '../exporter/cli/demo-host.ts';
import { PROFILES } from '../exporter/metrics/profiles.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { startExporter } from './daemon.ts';
import { fetchMetrics, seriesIn } from './http.ts';
import { markdown } from './lab-host.ts';
import { cpuSeconds } from './process-cost.ts';

// Series and cost of a scrape by profile, on a simulated host of 100 VMs with 8 vCPUs and a disk each, 128 CPUs.

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '20' } } });
const rounds = Number(options.rounds);
const VMS = 100;
/** A busy machine may be too slow for the simulated host: then no technique is ever judged. */
const MAX_WAIT_S = 300;

exitBySignal();
const host = await startDemoHost('large');
const rows: string[][] = [];
for (const profile of PROFILES) {
  const text = await judged(profile);
  const exporter = await startExporter(host.rootfs, [
    `--profile=${profile}`,
    // Only scrapes take CPU.
    '--sampler.schedule=0 0 0 1 1 *',
    '--inventory.schedule=0 0 0 1 1 *',
  ]);
  for (let i = 0; i < rounds / 2; i++) await fetchMetrics(exporter.port, true);
  const before = cpuSeconds(exporter.pid);
  for (let i = 0; i < rounds; i++) await fetchMetrics(exporter.port, true);
  const cpu = (cpuSeconds(exporter.pid) - before) / rounds;
  await exporter.stop();
  const ofVms = text.match(/^[^#\n].*[{,]vm="/gm)?.length ?? 0;
  rows.push([
    profile,
    (ofVms / VMS).toFixed(0),
    String(seriesIn(text) - ofVms),
    (text.length / 1e6).toFixed(2),
    (gzipSync(text, { level: 1 }).length / 1e3).toFixed(0),
    (cpu * 1000).toFixed(0),
  ]);
}
await host.stop();
process.stdout.write(
  markdown([['profile', 'series a VM', 'series of the host', 'MB', 'kB gzip', 'ms CPU a scrape'], ...rows]),
);

/** The output once the techniques of all VMs are judged. */
async function judged(profile: string): Promise<string> {
  const exporter = await startExporter(host.rootfs, [`--profile=${profile}`]);
  const isJudged = (text: string): boolean =>
    (text.match(/^kvm_vm_technique_evidence_ratio.*"ios_per_kick"/gm)?.length ?? 0) >= VMS;
  for (let i = 0; i < MAX_WAIT_S; i++) {
    const text = (await fetchMetrics(exporter.port, true)).text();
    if (isJudged(text)) return exporter.stop().then(() => text);
    await sleep(1000);
  }
  throw new Error(`${profile}: no verdict on ${VMS} VMs in ${MAX_WAIT_S} s: repeat it on a quiet machine`);
}
