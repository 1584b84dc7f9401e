import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { readExitFormat } from '../exporter/trace/kernel.ts';
import { PerfCounters } from '../exporter/trace/perf-counters.ts';
import { perfCounters } from '../exporter/trace/perf-events.ts';
import { perfStarter } from '../exporter/trace/perf-process.ts';
import { DEFAULT_TRACE_SETS, type TraceSetName } from '../exporter/trace/sets.ts';
import { liveHost } from '../testing/captured.ts';
import { startGuest, threadId } from '../testing/qemu.ts';
import { markdown, note } from './lab-host.ts';
import { bootstrap, median } from './statistics.ts';

// Measures the cost of perf for a guest of this machine's KVM: port writes per CPU second with and without
// perf counting. The guest reports its own work, because lockdown closes debugfs and not every KVM counts
// such exits.

/** The daemon's interval. */
const INTERVAL_MS = 5_000;
const SETTLE_MS = 200;
const PATIENCE_MS = 20_000;
/** At the reset vector: `cli; again: mov cx, 100; next: out 0x80, al; loop next; out 0xe9, al; jmp again`. */
const FIRMWARE = [0xfa, 0xb9, 0x64, 0x00, 0xe6, 0x80, 0xe2, 0xfc, 0xe6, 0xe9, 0xeb, 0xf5];
/** Port writes for each byte that the guest writes to the debug console. */
const WRITES = 101;

const { values: options } = parseArgs({
  options: { pairs: { type: 'string', default: '30' }, ms: { type: 'string', default: '600' } },
});
const host = liveHost();
const SETS: Readonly<Record<string, readonly TraceSetName[]>> = {
  nothing: [],
  notifications: ['notifications'],
  'the default sets': DEFAULT_TRACE_SETS,
};

const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-perf-'));
const work = join(folder, 'work');
try {
  const firmware = Buffer.alloc(65_536);
  firmware.set(FIRMWARE, 65_520);
  writeFileSync(join(folder, 'bios'), firmware);
  await compare();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function compare(): Promise<void> {
  const guest = startGuest({
    name: 'kt-perf-overhead',
    vcpus: 1,
    extra: [
      ['-bios', join(folder, 'bios'), '-chardev', `file,id=work,path=${work}`],
      ['-device', 'isa-debugcon,chardev=work'],
    ].flat(),
  });
  try {
    const tid = Number(threadId(guest.pid, 'CPU 0/KVM'));
    await sleep(3_000);
    const rest: number[] = [];
    const changes = new Map(Object.keys(SETS).map((name) => [name, [] as number[]]));
    let before = await rate(tid);
    for (let pair = 0; pair < Number(options.pairs); pair++) {
      for (const [name, sets] of Object.entries(SETS)) {
        const during = await counted(tid, sets);
        const after = await rate(tid);
        changes.get(name)?.push((2 * during) / (before + after) - 1);
        rest.push(after);
        before = after;
      }
      if (pair % 10 === 9) note(`${pair + 1} pairs`);
    }
    const percent = (value: number): string => (value * 100).toFixed(1);
    process.stdout.write(
      `${median(rest).toFixed(0)} writes a CPU second\n\n${markdown([
        ['counted', 'writes a CPU second, change in %: median [95% interval]', 'pairs'],
        ...[...changes].map(([name, values]) => [
          `${name} (${perfCounters(host, readExitFormat(host).isa, SETS[name] ?? []).length} counters)`,
          `${percent(median(values))} [${bootstrap(values).map(percent).join(', ')}]`,
          String(values.length),
        ]),
      ])}\n`,
    );
  } finally {
    guest.stop();
  }
}

async function counted(tid: number, sets: readonly TraceSetName[]): Promise<number> {
  const counters = perfCounters(host, readExitFormat(host).isa, sets);
  const perf = new PerfCounters(counters, perfStarter(INTERVAL_MS));
  perf.follow([{ key: 'guest', tids: [tid] }]);
  const deadline = Date.now() + PATIENCE_MS;
  while (countersOn(tid) < counters.length) {
    if (Date.now() > deadline) throw perf.problems[0] ?? new Error('perf does not begin');
    await sleep(SETTLE_MS);
  }
  const during = await rate(tid);
  await perf.stop();
  if (counters.length > 0 && !((perf.counts('guest')?.get('kvm_pio') ?? 0) > 0))
    throw new Error('perf counted nothing');
  return during;
}

/** Number of counters of the perf process that counts this thread. */
function countersOn(tid: number): number {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (args[0] !== 'perf' || !args.includes(`--tid=${tid}`)) continue;
      const fds = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
      return fds.filter((target) => target.includes('perf_event')).length;
    } catch {
      // The process has exited.
    }
  }
  return 0;
}

/** Port writes per second of the vCPU thread's run time. */
async function rate(tid: number): Promise<number> {
  await sleep(SETTLE_MS);
  const from = read(tid);
  await sleep(Number(options.ms));
  const to = read(tid);
  return ((to.writes - from.writes) / (to.ns - from.ns)) * 1e9;
}

function read(tid: number): { writes: number; ns: number } {
  const ns = Number.parseInt(readFileSync(`/proc/${tid}/task/${tid}/schedstat`, 'latin1'), 10);
  return { writes: statSync(work).size * WRITES, ns };
}
