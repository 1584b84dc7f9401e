import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { ROOT, startDaemon } from '../testing/daemon.ts';
import { parseSamples, type Samples } from '../testing/metrics.ts';
import { buildTinyVm, startTinyVm } from '../testing/tiny-vm.ts';
import { churn, cutDescriptors, fleet, pauses, slowClients } from './soak-faults.ts';
import { plot } from './soak-plot.ts';
import { median } from './statistics.ts';

// A daemon under churn and faults for minutes or hours: RSS, descriptors and scrape time stay flat, no counter falls,
// nothing crashes. Writes plots and a CSV to dist/soak.

const RESIDENTS = 4;
const COUNTER = /^kvm_\w+_(total|bucket|count|sum)(\{|$)/;
const FOLDER = `${ROOT}dist/soak/`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    births: { type: 'string', default: '20' },
    scrapers: { type: 'string', default: '50' },
  },
});
const seconds = Number(values.minutes) * 60;

const cleanups: (() => void)[] = [];
const context = { after: (work: () => void) => cleanups.push(work) };
exitBySignal();
process.once('exit', () => {
  for (const work of cleanups.reverse()) work();
});

const program = buildTinyVm(context, 'firecracker');
for (let i = 0; i < RESIDENTS; i++) await startTinyVm(context, program, (seconds + 600) * 1000);
const daemon = await startDaemon(context, ['--inventory.schedule=* * * * * *']);

/** Series of the host, and of VMs that live through the soak: while a VM lives, no other gets its label. */
const residents = new Set(
  [...(await daemon.metrics()).matchAll(/^kvm_vm_info\{.*?\bvm="([^"]*)"/gm)].map(([, vm = '']) => vm),
);
function isWatched(key: string): boolean {
  const [, vm] = /\bvm="([^"]*)"/.exec(key) ?? [];
  return COUNTER.test(key) && (vm === undefined || residents.has(vm));
}

interface Reading {
  readonly at: number;
  readonly rssMiB: number;
  readonly descriptors: number;
  readonly scrapeMs: number;
}

function footprint(): { rssMiB: number; descriptors: number } {
  const [, kib = '0'] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8')) ?? [];
  return { rssMiB: Number(kib) / 1024, descriptors: readdirSync(`/proc/${daemon.pid}/fd`).length };
}

const began = performance.now();
const elapsed = (): number => (performance.now() - began) / 1000;
const births = churn(context, program, Number(values.births));
const scrapers = fleet(context, daemon.url, Number(values.scrapers));
slowClients(context, daemon.url);
pauses(context, daemon.pid);
cutDescriptors(context, daemon.pid);

const readings: Reading[] = [];
const falls: string[] = [];
let last: Samples = new Map();
let failed = 0;
while (elapsed() < seconds) {
  if (daemon.child.exitCode !== null) throw new Error(`the daemon ended with ${daemon.child.exitCode}`);
  const start = performance.now();
  try {
    const now = parseSamples(await daemon.metrics());
    for (const [key, value] of last)
      if (isWatched(key) && (now.get(key) ?? value) < value) falls.push(`${key}: ${value}, ${now.get(key)}`);
    last = new Map([...last, ...now]);
    readings.push({ at: elapsed(), ...footprint(), scrapeMs: performance.now() - start });
  } catch {
    failed++;
  }
  await sleep(1000);
}

mkdirSync(FOLDER, { recursive: true });
const rows = readings.map(({ at, rssMiB, descriptors, scrapeMs }) =>
  [at, rssMiB, descriptors, scrapeMs].map((value) => value.toFixed(1)).join(),
);
writeFileSync(`${FOLDER}soak.csv`, ['seconds,rss_mib,descriptors,scrape_ms', ...rows, ''].join('\n'));
for (const [name, unit, of] of [
  ['rss', 'RSS in MiB', (reading: Reading) => reading.rssMiB],
  ['descriptors', 'open descriptors', (reading: Reading) => reading.descriptors],
  ['scrape', 'scrape time in ms', (reading: Reading) => reading.scrapeMs],
] as const) {
  const points = readings.map((reading) => [reading.at, of(reading)] as const);
  writeFileSync(`${FOLDER}${name}.svg`, plot(unit, points));
  const quarter = Math.ceil(points.length / 4);
  const [second, fourth] = [points.slice(quarter, 2 * quarter), points.slice(-quarter)].map((part) =>
    median(part.map(([, value]) => value)),
  );
  console.log(
    `${unit}: median ${second?.toFixed(1)} in the second quarter, ${fourth?.toFixed(1)} in the last`,
  );
}
console.log(
  `${births.count} VMs, ${scrapers.count} scrapes by others, ${readings.length} by this, ${failed} failed`,
);
const warnings = daemon.log.filter(({ level }) => Number(level) >= 40);
console.log(`warnings in the log: ${warnings.length}; counters that fell: ${falls.length}`);
for (const fall of falls.slice(0, 10)) console.log(fall);
const code = await daemon.stop();
console.log(`exit code ${code}`);
process.exit(code === 0 && falls.length === 0 ? 0 : 1);
