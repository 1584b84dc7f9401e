import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { ROOT } from '../testing/daemon.ts';
import { guestWithMonitor } from '../testing/guest-with-monitor.ts';
import { parseSamples, type Samples, series } from '../testing/metrics.ts';
import { until } from '../testing/patience.ts';
import { buildTinyVm, startTinyVm } from '../testing/tiny-vm.ts';
import { which } from '../testing/tools.ts';
import { MEMORY_MIB, soakedDaemon } from './soak-daemon.ts';
import {
  churn,
  clockJumps,
  cutDescriptors,
  fleet,
  fullLog,
  hangs,
  pauses,
  slowClients,
} from './soak-faults.ts';
import { plot } from './soak-plot.ts';
import { bpfRefusals, memoryShortages, tracefsLosses } from './soak-withdrawals.ts';
import { median } from './statistics.ts';

// A daemon under churn and faults for minutes or hours: RSS, descriptors and scrape time stay flat, no counter falls,
// each fault is reported, nothing crashes. Writes plots and a CSV.

const RESIDENTS = 4;
const GUEST = 'kt-soak';
/** A folder of its own: other daemons of this machine must leave the monitor alone. */
const SOCKETS = '/run/kvm-telemetry/soak';
const COUNTER = /^kvm_\w+_(total|bucket|count|sum)(\{|$)/;
/** A hanging task stays late forever. Pauses and a busy machine delay a task by some seconds only. */
const LATE_S = 60;
/** Descriptors that a busy daemon opens once, and keeps. */
const FEW = 16;
/** A guest that only halts: cli; again: hlt; jmp again. */
const HALTED = Buffer.alloc(512);
HALTED.set([0xfa, 0xf4, 0xeb, 0xfd]);
HALTED.set([0x55, 0xaa], 510);

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    births: { type: 'string', default: '20' },
    scrapers: { type: 'string', default: '50' },
    pace: { type: 'string', default: '1' },
    out: { type: 'string', default: `${ROOT}dist/soak` },
  },
});
const seconds = Number(values.minutes) * 60;
const pace = Number(values.pace);

/** Work to do at the end, the last first. */
function scope(): { after(work: () => void): void; end(): void } {
  const works: (() => void)[] = [];
  return {
    after: (work) => void works.push(work),
    end() {
      for (const work of works.splice(0).reverse()) work();
    },
  };
}
const whole = scope();
const faults = scope();
exitBySignal();
process.once('exit', () => {
  faults.end();
  whole.end();
});

const program = buildTinyVm(whole, 'firecracker');
/** Series of the host, and of these VMs, which live through the soak. Other VMs of this machine may end. */
const residents = new Set([GUEST]);
for (let i = 0; i < RESIDENTS; i++) {
  const { pid } = await startTinyVm(whole, program, (seconds + 600) * 1000);
  residents.add(String(pid));
}
const qemu = guestWithMonitor(whole, { name: GUEST, vcpus: 1, boot: HALTED }, SOCKETS);
const daemon = await soakedDaemon(whole, [`--qmp.sockets=${SOCKETS}/*.sock`, `--qmp.directories=${SOCKETS}`]);
const first = await daemon.metrics();
const usual = parseSamples(first);
const known = [...first.matchAll(/^kvm_vm_info\{.*?\bvm="([^"]*)"/gm)];
if (known.filter(([, vm = '']) => residents.has(vm)).length < residents.size)
  throw new Error('the daemon does not see the VMs of the soak');

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

const before = daemon.footprint().descriptors;
const began = performance.now();
const elapsed = (): number => (performance.now() - began) / 1000;
const births = churn(faults, program, Number(values.births));
const scrapers = fleet(faults, daemon.url, Number(values.scrapers));
slowClients(faults, daemon.url);
pauses(faults, daemon.pid, pace);
const canTrace = which('strace') !== undefined;
const { cgroup } = daemon;
const injected = {
  descriptors: cutDescriptors(faults, daemon.pid, pace),
  hang: hangs(faults, qemu.pid, pace),
  'full log': fullLog(faults, daemon.log, daemon.url, pace),
  tracefs: tracefsLosses(faults, daemon.pid, pace),
  BPF: canTrace ? bpfRefusals(faults, daemon.pid, pace) : { count: 0 },
  memory: cgroup === undefined ? { count: 0 } : memoryShortages(faults, cgroup, MEMORY_MIB, pace),
};
const jumps = daemon.clock === undefined ? { count: 0 } : clockJumps(faults, daemon.clock, pace);
type Fault = keyof typeof injected;

const reported = new Set<Fault>();
function note(samples: Samples): void {
  const works = (collector: string): boolean =>
    samples.get(`kvm_telemetry_collector_success{collector="${collector}"}`) === 1;
  if (!works('qmp')) reported.add('hang');
  // Without descriptors no file can be read either. Without BPF KVM's files in debugfs are read, which lockdown may refuse.
  if (works('cpus') && works('bpf') && !works('kvm_debugfs')) reported.add('tracefs');
  if (works('cpus') && !works('bpf')) reported.add('BPF');
  if ((samples.get('kvm_telemetry_log_lines_dropped_total') ?? 0) > 0) reported.add('full log');
  if ((samples.get('kvm_telemetry_memory_limit_hits_total{limit="max"}') ?? 0) > 0) reported.add('memory');
  if (daemon.warnings().some((line) => /no file descriptor is free/.test(line))) reported.add('descriptors');
}
const unreported = (): Fault[] =>
  (Object.keys(injected) as Fault[]).filter((fault) => !reported.has(fault) && injected[fault].count > 0);

const readings: Reading[] = [];
const falls: string[] = [];
let last: Samples = new Map();
let failed = 0;
let oldest = 0;

/** Whether it comes true in time. */
function comes(condition: () => boolean | Promise<boolean>): Promise<boolean> {
  return until(condition).then(
    () => true,
    () => false,
  );
}

async function observe(): Promise<void> {
  if (daemon.child.exitCode !== null || daemon.child.signalCode !== null)
    throw new Error(`the daemon ended with ${daemon.child.exitCode ?? daemon.child.signalCode}`);
  const start = performance.now();
  try {
    const now = parseSamples(await daemon.metrics());
    for (const [key, value] of last)
      if (isWatched(key) && (now.get(key) ?? value) < value) falls.push(`${key}: ${value}, ${now.get(key)}`);
    last = new Map([...last, ...now]);
    note(now);
    for (const key of series(now, 'kvm_telemetry_task_last_run_age_seconds'))
      oldest = Math.max(oldest, now.get(key) ?? 0);
    readings.push({ at: elapsed(), ...daemon.footprint(), scrapeMs: performance.now() - start });
  } catch {
    failed++;
  }
}

while (elapsed() < seconds) {
  await observe();
  await sleep(1000);
}
// A fault shortly before the end is reported a little later.
const isReported = await comes(async () => {
  await observe();
  return unreported().length === 0;
});
faults.end();
/** Collectors that failed in the last scrape, and not in the first. */
function unrecovered(): string[] {
  const keys = series(last, 'kvm_telemetry_collector_success');
  return keys.filter((key) => last.get(key) === 0 && usual.get(key) === 1);
}
const isRecovered = await comes(async () => {
  await observe();
  return unrecovered().length === 0;
});
// The scrapers' connections are kept alive.
const most = before + FEW + Number(values.scrapers);
const isFlat = await comes(() => daemon.footprint().descriptors <= most);

mkdirSync(values.out, { recursive: true });
const rows = readings.map(({ at, rssMiB, descriptors, scrapeMs }) =>
  [at, rssMiB, descriptors, scrapeMs].map((value) => value.toFixed(1)).join(),
);
writeFileSync(`${values.out}/soak.csv`, ['seconds,rss_mib,descriptors,scrape_ms', ...rows, ''].join('\n'));
for (const [name, unit, of] of [
  ['rss', 'RSS in MiB', (reading: Reading) => reading.rssMiB],
  ['descriptors', 'open descriptors', (reading: Reading) => reading.descriptors],
  ['scrape', 'scrape time in ms', (reading: Reading) => reading.scrapeMs],
] as const) {
  const points = readings.map((reading) => [reading.at, of(reading)] as const);
  writeFileSync(`${values.out}/${name}.svg`, plot(unit, points));
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
for (const [fault, { count }] of Object.entries(injected))
  console.log(`${fault}: ${count} times, ${reported.has(fault as Fault) ? 'reported' : 'not reported'}`);
console.log(
  daemon.clock === undefined
    ? 'no clock jumps: apt-get install faketime'
    : `clock jumps: ${jumps.count}; longest age of a task: ${oldest.toFixed(1)} s`,
);
if (!canTrace) console.log('BPF was not refused: apt-get install strace');
if (cgroup === undefined) console.log('no limit of memory: a cgroup with the memory controller is needed');
console.log(isRecovered ? 'all sources are usable again' : `not usable again: ${unrecovered().join(', ')}`);
console.log(`descriptors: ${before} before, ${daemon.footprint().descriptors} after the faults`);
console.log(`warnings in the log: ${daemon.warnings().length}; counters that fell: ${falls.length}`);
for (const fall of falls.slice(0, 10)) console.log(fall);
const exited = new Promise<number | null>((resolve) => daemon.child.once('exit', resolve));
daemon.child.kill('SIGTERM');
const code = await exited;
console.log(`exit code ${code}`);
const isRight = falls.length === 0 && isReported && isRecovered && isFlat && oldest < LATE_S;
process.exit(code === 0 && isRight ? 0 : 1);
