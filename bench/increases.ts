import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { createBlocks } from '../lab/history/blocks.ts';
import { queryRange, serveBlocks } from '../lab/history/prometheus.ts';
import { startDaemon } from '../testing/daemon.ts';
import { qmpCommand } from '../testing/guest-with-monitor.ts';
import { startGuest } from '../testing/qemu.ts';
import { type Truth, threadsOf, trueCounters } from './true-growth.ts';

// Checks that increase() of each counter matches the counts of the kernel and QEMU: a real guest, a scrape
// each second, blocks made by promtool, and a Prometheus that serves them.

const SOCKETS = '/run/kvm-telemetry/qmp';
const VM = 'increases';
/** The guest runs this long in each second, because other processes need the machine too. */
const RUNNING_MS = 250;
/** A smaller count is too small for a percentage. */
const LEAST = 100;
const ALLOWED = 0.01;

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } });
const seconds = Math.round(Number(values.minutes) * 60);

interface Series {
  readonly samples: [at: number, value: number][];
  falls: number;
}

const { path: folder } = memoryFolder('kt-increases-');
exitBySignal();
mkdirSync(SOCKETS, { recursive: true, mode: 0o755 });
const socket = join(SOCKETS, `${VM}.sock`);
const guest = startGuest({
  name: VM,
  extra: [
    ['-qmp', `unix:${socket},server=on,wait=off`],
    ['-qmp', 'unix:@/qmp,server=on,wait=off'],
    ['-qmp', 'unix:@/hand,server=on,wait=off'],
  ].flat(),
});
process.once('exit', () => {
  guest.stop();
  rmSync(socket, { force: true });
});
const threads = threadsOf(guest.pid);
const daemon = await startDaemon({ after: () => undefined }, ['--trace.backend=off']);
process.once('exit', () => daemon.child.kill('SIGKILL'));

const truth = async (): Promise<Truth> => {
  const command = { execute: 'query-stats', arguments: { target: 'vcpu' } };
  const vcpus = (await qmpCommand(join(guest.folder, 'qmp'), command)) as Parameters<typeof trueCounters>[3];
  return trueCounters(VM, guest.pid, threads, vcpus);
};

let isOver = false;
const hand = (async () => {
  while (!isOver) {
    await qmpCommand(join(guest.folder, 'hand'), { execute: 'cont' });
    await sleep(RUNNING_MS);
    await qmpCommand(join(guest.folder, 'hand'), { execute: 'stop' });
    await sleep(1000 - RUNNING_MS);
  }
})();

await daemon.metrics();
const series = new Map<string, Series>();
const before = await truth();
const begin = performance.now();
let scrapes = 0;
for (let i = 0; i <= seconds; i++) {
  await sleep(Math.max(0, begin + i * 1000 - performance.now()));
  const at = Date.now() / 1000;
  take(await daemon.metrics(), at);
  scrapes++;
}
const after = await truth();
isOver = true;
await hand;
await daemon.stop();

await report();

/** Counters only. */
function take(text: string, at: number): void {
  const counters = new Set(Array.from(text.matchAll(/^# TYPE (kvm_\w+) counter$/gm), ([, name]) => name));
  for (const line of text.split('\n')) {
    const space = line.lastIndexOf(' ');
    const key = line.slice(0, space);
    // Another VM may end and begin again under its name.
    const vm = /[{,]vm="([^"]*)"/.exec(key)?.[1];
    if (!counters.has(/^\w+/.exec(key)?.[0]) || (vm !== undefined && vm !== VM)) continue;
    const one = series.get(key) ?? { samples: [], falls: 0 };
    series.set(key, one);
    const value = Number(line.slice(space + 1));
    if (value < (one.samples.at(-1)?.[1] ?? 0)) one.falls++;
    one.samples.push([at, value]);
  }
}

async function report(): Promise<void> {
  const names = [...series.keys()].sort();
  const file = join(folder, 'scrapes.om');
  let text = '';
  let family = '';
  for (const key of names) {
    const name = (/^\w+/.exec(key)?.[0] ?? '').replace(/_total$/, '');
    if (name !== family) text += `# TYPE ${name} counter\n`;
    family = name;
    for (const [at, value] of series.get(key)?.samples ?? []) text += `${key} ${value} ${at}\n`;
  }
  writeFileSync(file, `${text}# EOF\n`);
  const blocks = join(folder, 'blocks');
  if (!(await createBlocks(file, blocks))) throw new Error('promtool is not installed: install prometheus');
  const server = await serveBlocks(blocks);
  const rows: { key: string; truth: number; increase: number }[] = [];
  try {
    const all = names.flatMap((key) => series.get(key)?.samples.map(([at]) => at) ?? []);
    const last = all.reduce((most, at) => Math.max(most, at), 0);
    const first = all.reduce((least, at) => Math.min(least, at), last);
    // The window includes the first sample; increase() extrapolates over the half second before it.
    const range = Math.ceil(last - first) + 1;
    for (const [key, end] of after) {
      const [found] = await queryRange(server.url, `increase(${key}[${range}s])`, {
        from: last,
        to: last,
        step: 1,
      });
      const increase = Number(found?.values[0]?.[1] ?? Number.NaN);
      const grown = end - (before.get(key) ?? 0);
      if (found !== undefined)
        rows.push({ key, truth: grown, increase: (increase * (last - first)) / range });
    }
  } finally {
    await server.stop();
  }
  print(rows);
}

function print(rows: readonly { key: string; truth: number; increase: number }[]): void {
  const isTime = (key: string): boolean => /_seconds_total/.test(key);
  const large = rows.filter(({ key, truth: grown }) => grown >= (isTime(key) ? LEAST / 100 : LEAST));
  const off = ({ truth: grown, increase }: (typeof rows)[number]): number => Math.abs(increase / grown - 1);
  const wrong = large.filter((row) => off(row) > ALLOWED);
  const small = rows.filter((row) => !large.includes(row));
  const wrongSmall = small.filter(
    ({ key, truth: grown, increase }) => Math.abs(increase - grown) > (isTime(key) ? 0.05 : 3),
  );
  const falls = [...series].filter(([, { falls: count }]) => count > 0);
  const worst = [...large].sort((a, b) => off(b) - off(a));
  const lines = worst.map(
    (row) =>
      `| \`${row.key}\` | ${row.truth.toFixed(3)} | ${row.increase.toFixed(3)} | ${(off(row) * 100).toFixed(3)}% |`,
  );
  process.stdout.write(
    [
      `${scrapes} scrapes in ${seconds} s of a live guest; ${series.size} counters seen, ${rows.length} held against the truth.`,
      `Counters that fell: ${falls.length}${falls.map(([key, { falls: count }]) => ` ${key} (${count})`).join('')}.`,
      `Of ${large.length} that grew by ${LEAST} or more (times: 1 s): ${wrong.length} off by more than 1%.`,
      `Of ${small.length} that grew by less: ${wrongSmall.length} off by more than 3 (times: 0.05 s).`,
      ...wrongSmall.map(
        ({ key, truth: grown, increase }) => `  ${key}: ${grown} true, ${increase} by increase()`,
      ),
      '',
      '| counter | true growth | increase() | off by |',
      '|---|--:|--:|--:|',
      ...lines,
      '',
    ].join('\n'),
  );
  if (wrong.length + wrongSmall.length + falls.length > 0) process.exitCode = 1;
}
