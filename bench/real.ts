import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { startExporter } from './daemon.ts';
import { filesOfAScrape } from './files-of-a-scrape.ts';
import { createFloor, type Reading } from './floor.ts';
import { fetchMetrics, seriesIn } from './http.ts';
import {
  type Footprint,
  measureFootprint,
  medians,
  ONLY_SCRAPES,
  type ScrapeCost,
  scrape,
  warmUp,
} from './measure.ts';
import { measureReading } from './read-threads.ts';
import { median } from './statistics.ts';
import { markdown, ms } from './table.ts';

// Measures the exporter on real VMs of this machine, with and without BPF in turns. The floor is a C program that reads the
// files that a scrape reads without BPF.

const SOURCE = fileURLToPath(new URL('../../bench/idle-vm.c', import.meta.url));
const VCPUS = 8;
/** perf would measure the VMs of the benchmark, and they have no monitors. */
const FLAGS = ['--trace.backend=off', '--no-collector.libvirt', '--no-collector.qmp'];
/** Enough for the compiler to optimize. */
const READING_ROUNDS = 60;
const MODES = ['auto', 'off'] as const;
type Mode = (typeof MODES)[number];

const { values } = parseArgs({
  options: {
    vms: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '12' },
    settle: { type: 'string', default: '180' },
  },
});
const say = (text: string): boolean => process.stderr.write(`${text}\n`);
const { path: scratch } = memoryFolder('kvm-bench-real-');
exitBySignal();

const vms = Number(values.vms);
const rounds = Number(values.rounds);
say(`${vms} VMs with ${VCPUS} vCPUs: starting`);
const { pids, stop: stopVms } = await startVms(vms);
try {
  const reading = await readingTable();
  const costs = await measureCosts();
  const footprints = new Map<Mode, Footprint>();
  for (const mode of MODES) {
    say(`--bpf=${mode}: footprint and stalls`);
    const flags = [...FLAGS, `--bpf=${mode}`];
    footprints.set(mode, await measureFootprint('/', rounds, flags, Number(values.settle) * 1000));
  }
  process.stdout.write(`${reading}\n${costs}\n${footprintTable(footprints)}`);
} finally {
  stopVms();
  rmSync(scratch, { recursive: true, force: true });
}

/** Starts processes that have the names, threads and options of QEMU. */
async function startVms(count: number): Promise<{ pids: ReadonlySet<string>; stop(): void }> {
  const folder = `${scratch}/bin`;
  const program = `${folder}/qemu-system-x86_64`;
  mkdirSync(folder);
  execFileSync('gcc', ['-O1', '-Wall', '-pthread', '-o', program, SOURCE]);
  const children = Array.from({ length: count }, (_, i) =>
    spawn(program, [String(VCPUS), '-name', `guest=bench${i},debug-threads=on`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  const stop = (): void => {
    for (const child of children) child.kill('SIGKILL');
  };
  process.once('exit', stop);
  for (const child of children) {
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve());
      child.once('exit', (code) => reject(new Error(`a VM ended with ${code}`)));
    });
  }
  return { pids: new Set(children.map(({ pid }) => String(pid))), stop };
}

/** Files that stay: other processes of this machine may end. */
function isLasting(file: string): boolean {
  const pid = /^\/proc\/(\d+)\//.exec(file)?.[1];
  return pid === undefined || pids.has(pid);
}

async function readingTable(): Promise<string> {
  say('reading all counters of the threads');
  const rows = [['reading', 'threads', 'CPU us a thread']];
  for (const mode of MODES) {
    const { threads, cpu } = await measureReading(mode, READING_ROUNDS);
    rows.push([`--bpf=${mode}`, String(threads), (cpu * 1e6).toFixed(1)]);
  }
  return markdown(rows);
}

async function measureCosts(): Promise<string> {
  const start = (mode: Mode) => startExporter('/', [...ONLY_SCRAPES, ...FLAGS, `--bpf=${mode}`]);
  const daemons = { auto: await start('auto'), off: await start('off') };
  for (const mode of MODES) await warmUp(daemons[mode]);
  const files = (await filesOfAScrape(daemons.off, '/', scratch)).filter(isLasting);
  const withBpf = (await filesOfAScrape(daemons.auto, '/', scratch)).filter(isLasting);
  const readFiles = createFloor(files, scratch);
  const floor: Reading[] = [];
  const costs = { auto: [[], []] as ScrapeCost[][], off: [[], []] as ScrapeCost[][] };
  say(`what a scrape costs, ${rounds} rounds`);
  for (let round = 0; round < rounds; round++) {
    for (const mode of MODES) {
      for (const gzip of [0, 1]) {
        floor.push(readFiles());
        costs[mode][gzip]?.push(await scrape(daemons[mode], gzip === 1));
      }
    }
  }
  const least = median(floor.map(({ cpu }) => cpu));
  const rows = [['who', 'files', 'series', 'CPU ms a scrape', 'times C', 'wall ms']];
  const wall = median(floor.map((each) => each.wall));
  rows.push(['C: read the files of --bpf=off', String(files.length), '', ms(least), '1', ms(wall)]);
  for (const mode of MODES) {
    const text = (await fetchMetrics(daemons[mode].port, false)).text();
    if ((text.match(/^kvm_thread_cpu\{.*thread="vcpu\d+"/gm)?.length ?? 0) < vms * VCPUS)
      throw new Error(`--bpf=${mode}: not all vCPUs are there`);
    costs[mode].forEach((each, gzip) => {
      const cost = medians(each);
      const opened = mode === 'off' ? files.length : withBpf.length;
      const who = `--bpf=${mode}${gzip === 1 ? ', gzip' : ''}`;
      const ratio = (cost.cpu / least).toFixed(2);
      rows.push([who, String(opened), String(seriesIn(text)), ms(cost.cpu), ratio, ms(cost.wall)]);
    });
    await daemons[mode].stop();
  }
  return markdown(rows);
}

function footprintTable(footprints: ReadonlyMap<Mode, Footprint>): string {
  const head = [
    '',
    'idle: CPU ms a second',
    'sampler ms a run',
    'inventory ms a run',
    'stall ms in a scrape: max',
    'RSS MiB',
  ];
  const rows = [...footprints].map(([mode, { idle, sampler, inventory, stalls, memory }]) => [
    `--bpf=${mode}`,
    ms(idle),
    ms(sampler),
    ms(inventory),
    ms(Math.max(...stalls)),
    memory.rssMiB.toFixed(0),
  ]);
  return markdown([head, ...rows]);
}
