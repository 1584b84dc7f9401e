import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { uptime } from 'node:os';
import { BpfBackend } from '../exporter/trace/bpf/backend.ts';
import { traceObjectLoader } from '../exporter/trace/bpf/loader.ts';
import type { TraceSetName } from '../exporter/trace/sets.ts';
import { Tallies } from '../exporter/trace/tallies.ts';
import { TracefsBackend } from '../exporter/trace/tracefs.ts';
import { tracefsWriter } from '../exporter/trace/writer.ts';
import { liveHost } from '../testing/captured.ts';

// Runs in the lab's host: switches tracepoint sets through the exporter's own backend, and reads the guest's
// progress. POST /on?sets=a,b&dutyCycle=1, POST /on?sets=a,b&budget=0.01 (BPF), POST /off, GET /mark, GET /state.

const [pid = '', port = ''] = process.argv.slice(2);
const SECOND_MS = 1000;
const host = liveHost();
const followed = readdirSync(`/proc/${pid}/task`)
  .filter((tid) => /^(CPU \d|IO )/.test(readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8')))
  .map(Number);
/** The backend's own report. */
let state: () => object = () => ({});
let stop: () => Promise<string[]> = async () => [];

/** BPF as in the daemon, also without reading the counts. */
async function onBpf(sets: TraceSetName[], budget: number): Promise<string[]> {
  const backend = new BpfBackend({
    load: traceObjectLoader(host),
    isa: 'svm',
    sets,
    budget,
    tallies: new Tallies(),
    threads: { ownerOf: () => undefined, onIoPath: followed, processes: [Number(pid)] },
    now: () => performance.now(),
    sinceBoot: uptime,
    repeat(work, everyMs) {
      const timer = setInterval(work, everyMs);
      return { stop: () => clearInterval(timer) };
    },
  });
  backend.begin();
  state = () => {
    const { costFactor, costRatio, sets: counted } = backend;
    return { costFactor, costRatio, sampled: counted.map(({ set, sampledRatio }) => [set, sampledRatio]) };
  };
  const ticks = setInterval(() => void backend.tick(), SECOND_MS);
  stop = async () => {
    clearInterval(ticks);
    return [...backend.problems, ...(await backend.stop())].map(String);
  };
  return [...backend.problems, ...backend.lacks].map(String);
}

/** As in the daemon, with a tick each second, but without reading the counts. */
async function on(sets: TraceSetName[], dutyCycle: number): Promise<string[]> {
  const dependencies = {
    host,
    writer: tracefsWriter,
    pid: process.pid,
    now: () => performance.now(),
    sinceBoot: uptime,
  };
  const threads = { ownerOf: () => undefined, onIoPath: followed };
  const options = { sets, dutyCycle, budget: 1, isa: 'svm' as const, tallies: new Tallies(), threads };
  const backend = new TracefsBackend(dependencies, options);
  let changing = backend.start();
  const tick = (): void => {
    changing = changing.then(() => backend.tick());
  };
  tick();
  await changing;
  const ticks = setInterval(tick, SECOND_MS);
  stop = async () => {
    clearInterval(ticks);
    await changing;
    const problems = backend.problems;
    return [...problems, ...(await backend.stop())].map(String);
  };
  return backend.problems.map(String);
}

/** The guest's progress, and the instructions that its CPU executed. */
export interface Mark {
  readonly exits: number;
  readonly requests: number;
  readonly instructions: number;
  /**
   * Calls of tracepoint probes; the instructions of the calls that no interrupt made long, and the number of
   * these calls.
   */
  readonly calls: number;
  readonly inside: number;
  readonly whole: number;
}

function mark(): Mark {
  const [folder = ''] = readdirSync('/sys/kernel/debug/kvm').filter((name) => name.startsWith(`${pid}-`));
  const numbers = (path: string): number[] => readFileSync(path, 'utf8').trim().split(/\s+/).map(Number);
  const [exits = 0] = numbers(`/sys/kernel/debug/kvm/${folder}/exits`);
  const [reads = 0, , , , writes = 0] = numbers('/sys/block/nvme0c0n1/stat');
  // The second line is CPU 1.
  const [instructions = 0, calls = 0, inside = 0, whole = 0] = numbers('/lab/instructions').slice(4);
  return { exits, requests: reads + writes, instructions, calls, inside, whole };
}

createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
  const answer = async (): Promise<unknown> => {
    if (pathname === '/mark') return mark();
    if (pathname === '/state') return state();
    if (pathname === '/off') return stop();
    const sets = (searchParams.get('sets') ?? '').split(',').filter((set) => set !== '');
    const budget = searchParams.get('budget');
    if (budget !== null) return onBpf(sets as TraceSetName[], Number(budget));
    return on(sets as TraceSetName[], Number(searchParams.get('dutyCycle')));
  };
  answer().then(
    (value) => response.end(JSON.stringify(value)),
    (error: unknown) => response.writeHead(500).end(String(error)),
  );
}).listen(Number(port), '0.0.0.0', () => process.stdout.write('listening\n'));
