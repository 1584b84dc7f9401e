import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort } from '../exporter/free-port.ts';
import { DEFAULT_TRACE_SETS } from '../exporter/trace/sets.ts';
import type { LabHost } from '../lab/host.ts';
import { emulatedCpus, inHosts, markdown, note } from './lab-host.ts';
import { median } from './statistics.ts';

// What tracing costs a guest: its work with a tracepoint set on against the same with it off just before and after.

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const INNER_PORT = 9970;
/** No host is asked to live longer. */
const LIFE_MS = 150_000;
const SETTLE_MS = 400;
const RESAMPLES = 10_000;

interface Contender {
  readonly name: string;
  readonly sets: readonly string[];
  readonly dutyCycle: number;
  /** Windows that are windows of the duty cycle too need ten seconds. */
  readonly seconds: number;
}

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '6' },
    seconds: { type: 'string', default: '4' },
    sets: { type: 'string' },
    guest: { type: 'string', default: 'linux' },
    // Of the thread that emulates the CPU on which the guest is: on a busy machine, -10 keeps others out of the way.
    nice: { type: 'string', default: '0' },
  },
});
const seconds = Number(options.seconds);
const always = (name: string): Contender => ({ name, sets: [name], dutyCycle: 1, seconds });
const ALL: readonly Contender[] = [
  { name: 'nothing', sets: [], dutyCycle: 1, seconds },
  always('exits'),
  always('notifications'),
  always('interrupts'),
  always('halt_poll'),
  always('block'),
  always('exit_duration'),
  always('block_duration'),
  always('lock'),
  always('sched'),
  { name: 'default', sets: DEFAULT_TRACE_SETS, dutyCycle: 0.1, seconds: 10 },
];
const contenders = ALL.filter(({ name }) => options.sets?.split(',').includes(name) ?? true);

/** What the guest did in a window. */
interface Work {
  readonly requests: number;
  readonly exits: number;
  /** Of wall clock, and of the CPU that this machine gave to the emulated CPU on which the guest is. */
  readonly wallMs: number;
  readonly cpuMs: number;
}

type Rates = Readonly<Record<'requests' | 'exits' | 'requestsOfCpu' | 'exitsOfCpu' | 'load', number>>;

const ratios = new Map<string, Rates[]>();
const rest: Rates[] = [];
const problems = new Set<string>();
const port = await freePort();

await inHosts({ forward: { [INNER_PORT]: port } }, async (host) => {
  const end = Date.now() + LIFE_MS;
  const pid = options.guest === 'toy' ? await startToy(host) : await startLinux(host);
  await startInside(host, pid);
  // The CPU time of the thread that emulates the CPU on which the guest is.
  const cpuMs = (): number => (emulatedCpus(host.pid)[1]?.run ?? 0) / 1e6;
  setPriority(emulatedCpus(host.pid)[1]?.tid ?? 0, Number(options.nice));
  note('guest and switch are up');
  let before = await off(cpuMs);
  while (Date.now() < end) {
    const next = leastMeasured();
    if (next === undefined) return true;
    const during = await on(next, cpuMs);
    const after = await off(cpuMs);
    add(next.name, before, during, after);
    before = after;
  }
  return leastMeasured() === undefined;
});
print();

/** The one with the fewest pairs, so that all go on in step. */
function leastMeasured(): Contender | undefined {
  const pairs = ({ name }: Contender): number => ratios.get(name)?.length ?? 0;
  const [least] = [...contenders].sort((a, b) => pairs(a) - pairs(b));
  return least === undefined || pairs(least) >= Number(options.rounds) ? undefined : least;
}

function add(name: string, before: Rates, during: Rates, after: Rates): void {
  const keys = Object.keys(during) as (keyof Rates)[];
  const ratio = (key: keyof Rates): number => (2 * during[key]) / (before[key] + after[key]);
  const pair = Object.fromEntries(keys.map((key) => [key, ratio(key)])) as unknown as Rates;
  ratios.set(name, [...(ratios.get(name) ?? []), pair]);
  rest.push(after);
  note(
    `${name}: ${keys.map((key) => `${key} ${pair[key].toFixed(3)}`).join(', ')}; off: ${after.requests.toFixed(0)} IOPS, ${after.exits.toFixed(0)} exits/s, load ${after.load.toFixed(2)}`,
  );
}

async function startLinux(host: LabHost): Promise<number> {
  const pid = await host.startGuest('vm-a');
  // Deep enough that its CPU of the host has no time to spare.
  await host.load('vm-a', 4, 'read');
  return pid;
}

/** A firmware that does nothing but exit, from the reset vector on: `cli; again: xor ax,ax; cpuid; jmp again`. */
async function startToy(host: LabHost): Promise<number> {
  const vector = Buffer.alloc(16);
  vector.set([0xfa, 0x31, 0xc0, 0x0f, 0xa2, 0xeb, 0xfa]);
  const pid = await host.output(`cd /run/lab
{ head -c 65520 /dev/zero; echo ${vector.toString('base64')} | base64 -d; } >toy.bin
taskset -c 1 qemu-system-x86_64 -name guest=toy,debug-threads=on -machine q35,accel=kvm,kernel_irqchip=on -cpu host -m 64 \
  -nodefaults -display none -bios toy.bin -pidfile toy.pid -daemonize
sleep 3; cat toy.pid`);
  return Number(pid);
}

async function startInside(host: LabHost, pid: number): Promise<void> {
  const log = '/run/lab/inside.log';
  await host.output(
    `taskset -c 0 '${process.execPath}' '${ROOT}dist/bench/lab-overhead-inside.js' ${pid} ${INNER_PORT} >${log} 2>&1 &
for _ in {1..400}; do grep -q listening ${log} && exit; sleep 0.1; done; cat ${log}; exit 1`,
  );
}

async function ask<T>(path: string, method = 'POST'): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    signal: AbortSignal.timeout(20_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return JSON.parse(text) as T;
}

async function on({ sets, dutyCycle, seconds: length }: Contender, cpuMs: () => number): Promise<Rates> {
  for (const problem of await ask<string[]>(`/on?sets=${sets}&dutyCycle=${dutyCycle}`)) problems.add(problem);
  const rates = await measure(length, cpuMs);
  for (const problem of await ask<string[]>('/off')) problems.add(problem);
  return rates;
}

function off(cpuMs: () => number): Promise<Rates> {
  return measure(seconds, cpuMs);
}

async function measure(length: number, cpuMs: () => number): Promise<Rates> {
  await sleep(SETTLE_MS);
  const from = await mark(cpuMs);
  await sleep(length * 1000);
  const to = await mark(cpuMs);
  const cpu = (to.cpuMs - from.cpuMs) / 1000;
  const wall = (to.wallMs - from.wallMs) / 1000;
  const requests = to.requests - from.requests;
  const exits = to.exits - from.exits;
  return {
    requests: requests / wall,
    exits: exits / wall,
    requestsOfCpu: requests / cpu,
    exitsOfCpu: exits / cpu,
    load: cpu / wall,
  };
}

async function mark(cpuMs: () => number): Promise<Work> {
  const { exits, requests, ms } = await ask<{ exits: number; requests: number; ms: number }>('/mark', 'GET');
  return { exits, requests, wallMs: ms, cpuMs: cpuMs() };
}

/** Percentiles of the median by bootstrap. */
function interval(values: readonly number[]): [number, number] {
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(values.map(() => values[Math.floor(Math.random() * values.length)] ?? Number.NaN)),
  ).sort((a, b) => a - b);
  return [medians[RESAMPLES * 0.025] ?? Number.NaN, medians[RESAMPLES * 0.975] ?? Number.NaN];
}

function print(): void {
  const percent = (ratio: number): string => ((ratio - 1) * 100).toFixed(1);
  const cell = (name: string, key: keyof Rates): string => {
    const values = (ratios.get(name) ?? []).map((each) => each[key]);
    const [low, high] = interval(values);
    return `${percent(median(values))} [${percent(low)}, ${percent(high)}]`;
  };
  const typical = (key: keyof Rates): string =>
    median(rest.map((each) => each[key])).toFixed(key === 'load' ? 2 : 0);
  const columns: [string, keyof Rates][] =
    options.guest === 'toy'
      ? [
          ['exits a CPU second', 'exitsOfCpu'],
          ['exits a second', 'exits'],
        ]
      : [
          ['I/Os a CPU second', 'requestsOfCpu'],
          ['I/Os a second', 'requests'],
          ['exits a second', 'exits'],
        ];
  process.stdout.write(
    `${markdown([
      ['change in %: median [95% interval]', ...columns.map(([title]) => title), 'pairs'],
      ...contenders.map(({ name }) => [
        name,
        ...columns.map(([, key]) => cell(name, key)),
        String(ratios.get(name)?.length ?? 0),
      ]),
    ])}
Off: ${typical('requests')} I/Os and ${typical('exits')} exits a second, ${typical('exitsOfCpu')} exits a CPU second; the emulated CPU had ${typical('load')} of a CPU.
Problems: ${[...problems].join('; ') || 'none'}
`,
  );
}
