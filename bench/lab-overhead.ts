import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { portOf } from '../exporter/cli/listening-port.ts';
import { DEFAULT_TRACE_SETS } from '../exporter/trace/sets.ts';
import type { LabHost } from '../lab/host.ts';
import { inHosts, markdown, note } from './lab-host.ts';
import type { Mark } from './lab-overhead-inside.ts';
import { bootstrap, median } from './statistics.ts';

// Measures the cost of tracing for a guest, in instructions of a CPU that runs nothing else: the instructions
// in the tracepoints' probes, and the guest's work with a set on, compared with the work with it off just
// before and after.

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const INNER_PORT = 9970;
/** A host runs no longer than this. */
const LIFE_MS = 150_000;
const SETTLE_MS = 400;
/** Until BPF has timed its programs and has set their periods. */
const BUDGET_MS = 3000;
/**
 * Counts all instructions of a tracepoint: from the first instruction of its probe, a kernel function, to its
 * return.
 */
const WATCH = `grep -E ' trace_event_raw_event_(kvm_|block_rq|sched_|contention_)' /proc/kallsyms |
  while read -r from _; do echo "$from 400"; done >/lab/watch.new
mv /lab/watch.new /lab/watch`;

interface Contender {
  readonly name: string;
  readonly sets: readonly string[];
  readonly dutyCycle: number;
  /** With BPF. */
  readonly budget?: number;
  /** Duty cycle windows need ten seconds. */
  readonly seconds: number;
}

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '3' },
    sets: { type: 'string' },
    guest: { type: 'string', default: 'linux' },
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
  { name: 'bpf-exits', sets: ['exits'], dutyCycle: 1, budget: 1, seconds },
  { name: 'bpf-default', sets: DEFAULT_TRACE_SETS, dutyCycle: 1, budget: 0.01, seconds: 10 },
];
const contenders = ALL.filter(({ name }) => options.sets?.split(',').includes(name) ?? true);

/** Results of one window. */
interface Rates {
  /** Share of all instructions that probes execute. */
  readonly share: number;
  /** Instructions per call of a probe. */
  readonly length: number;
  readonly callsAnExit: number;
  /** Instructions per exit and per I/O, including all related work. */
  readonly perExit: number;
  readonly perRequest: number;
}

interface Pair {
  readonly on: Rates;
  /** Work per instruction with the set on, relative to the set off. */
  readonly exits: number;
  readonly requests: number;
}

const pairs = new Map<string, Pair[]>();
const rest: Rates[] = [];
const problems = new Set<string>();

/** Forwards to the program in the host. */
let port: number | undefined;
await inHosts({ forward: { [INNER_PORT]: 0 }, countInstructions: true }, async (host) => {
  port = portOf(host.pid);
  const end = Date.now() + LIFE_MS;
  const pid = options.guest === 'toy' ? await startToy(host) : await startLinux(host);
  await host.output(WATCH);
  await startInside(host, pid);
  note('guest and switch are up');
  let before = await measure(seconds);
  while (Date.now() < end) {
    const next = leastMeasured();
    if (next === undefined) return true;
    const during = await on(next);
    const after = await measure(seconds);
    add(next.name, before, during, after);
    before = after;
  }
  return leastMeasured() === undefined;
});
print();

/** The contender with the fewest pairs, so that all progress together. */
function leastMeasured(): Contender | undefined {
  const measured = ({ name }: Contender): number => pairs.get(name)?.length ?? 0;
  const [least] = [...contenders].sort((a, b) => measured(a) - measured(b));
  return least === undefined || measured(least) >= Number(options.rounds) ? undefined : least;
}

function add(name: string, before: Rates, on: Rates, after: Rates): void {
  const exits = (before.perExit + after.perExit) / 2 / on.perExit;
  const requests = (before.perRequest + after.perRequest) / 2 / on.perRequest;
  pairs.set(name, [...(pairs.get(name) ?? []), { on, exits, requests }]);
  rest.push(after);
  note(`${name}: ${JSON.stringify({ on, exits, requests })}, off: ${JSON.stringify(after)}`);
}

async function startLinux(host: LabHost): Promise<number> {
  const pid = await host.startGuest('vm-a');
  // Deep enough to keep the guest's CPU of the host busy all the time.
  await host.load('vm-a', 4, 'read');
  return pid;
}

/** A firmware that only causes exits, from the reset vector on: `cli; again: xor ax,ax; cpuid; jmp again`. */
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

async function call<T>(path: string, method = 'POST'): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    signal: AbortSignal.timeout(20_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return JSON.parse(text) as T;
}

async function on({ sets, dutyCycle, budget, seconds: length }: Contender): Promise<Rates> {
  const how = budget === undefined ? `dutyCycle=${dutyCycle}` : `budget=${budget}`;
  for (const problem of await call<string[]>(`/on?sets=${sets}&${how}`)) problems.add(problem);
  if (budget !== undefined) await sleep(BUDGET_MS);
  const rates = await measure(length);
  if (budget !== undefined) note(JSON.stringify(await call('/state', 'GET')));
  for (const problem of await call<string[]>('/off')) problems.add(problem);
  return rates;
}

async function measure(length: number): Promise<Rates> {
  await sleep(SETTLE_MS);
  const from = await call<Mark>('/mark', 'GET');
  await sleep(length * 1000);
  const to = await call<Mark>('/mark', 'GET');
  const grown = (key: keyof Mark): number => to[key] - from[key];
  const instructions = grown('instructions');
  const probe = grown('whole') === 0 ? 0 : grown('inside') / grown('whole');
  return {
    share: (probe * grown('calls')) / instructions,
    length: probe,
    callsAnExit: grown('calls') / grown('exits'),
    perExit: instructions / grown('exits'),
    perRequest: instructions / grown('requests'),
  };
}

function print(): void {
  const percent = (value: number, digits = 1): string => (value * 100).toFixed(digits);
  const isToy = options.guest === 'toy';
  const row = ({ name }: Contender): string[] => {
    const all = pairs.get(name) ?? [];
    const of = (rate: (each: Pair) => number): number[] => all.map(rate);
    const shares = of(({ on: { share } }) => share);
    const changes = of(({ exits, requests }) => (isToy ? exits : requests) - 1);
    const [low, high] = bootstrap(changes);
    return [
      name,
      `${percent(median(shares), 2)} (${percent(Math.min(...shares), 2)} to ${percent(Math.max(...shares), 2)})`,
      median(of(({ on: { callsAnExit } }) => callsAnExit)).toFixed(3),
      median(of(({ on: { length } }) => length)).toFixed(0),
      `${percent(median(changes))} [${percent(low)}, ${percent(high)}]`,
      String(all.length),
    ];
  };
  const typical = (key: keyof Rates): string => median(rest.map((each) => each[key])).toFixed(0);
  process.stdout.write(
    `${markdown([
      [
        'set',
        '% of instructions in probes: median (lowest to highest)',
        'calls an exit',
        'instructions a call',
        `${isToy ? 'exits' : 'I/Os'} for the same instructions, change in %: median [95% interval]`,
        'pairs',
      ],
      ...contenders.map(row),
    ])}
Off: an exit and what comes with it are ${typical('perExit')} instructions${isToy ? '' : `, an I/O ${typical('perRequest')}`}.
Problems: ${[...problems].join('; ') || 'none'}
`,
  );
}
