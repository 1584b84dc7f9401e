import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { TECHNIQUES, type Technique } from '../exporter/metrics/techniques.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { type BlkGuest, blkGuest } from '../testing/blk-guest.ts';
import { type Daemon, ROOT, startDaemon } from '../testing/daemon.ts';
import { temporaryFolder } from '../testing/folder.ts';
import { qmpCommand } from '../testing/guest-with-monitor.ts';
import { parseSamples } from '../testing/metrics.ts';
import { threadId } from '../testing/qemu.ts';
import { markdown } from './table.ts';
import { type Act, expectedAt, POLLS, SITUATIONS } from './verdicts-situations.ts';

// The share of wrong verdicts on real guests. All of them run at once, at the lowest priority, beside two daemons: one is scraped
// and restarted in the middle, nobody scrapes the other.

const EVERY_MS = 20_000;
/** A verdict may be late by this much after the start or a change: two judgements of a minute each. */
const SETTLING_MS = 120_000;
const IDLE_GUEST = [0xfb, 0xf4, 0xeb, 0xfc]; // sti; again: hlt; jmp again
/** Between two changes. */
const RESTART_AT = 5 / 12;
const LOWEST = 19;
const NICE = 3;
const NICE_POLLER = 13;
const MAIN = `${ROOT}dist/exporter/main.js`;
/** The affinity of a VM is not judged while, or shortly after, VMs of other runs have pins. */
const FOREIGN_MS = SETTLING_MS;
/** Guests that poll and other programs may take the CPUs from one that boots. */
const BOOT_MS = 300_000;
const BOOTED_READS = 100;
/** Tables before the last: a run that is stopped has counts too. */
const TABLES = 20;
const READERS = ['scraped', 'unscraped'] as const;
type Reader = (typeof READERS)[number];

interface Counts {
  right: number;
  wrong: number;
  unknown: number;
  settling: number;
  foreign: number;
  /** Milliseconds from a change to the last state that was not yet right. */
  slowest: number;
}

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } });
const durationMs = Number(values.minutes) * 60_000;

const cleanups: (() => void)[] = [];
const context = { after: (work: () => void) => void cleanups.push(work) };
exitBySignal();
process.once('exit', () => {
  for (const work of cleanups.reverse()) work();
});

const sockets = { scraped: temporaryFolder(context), unscraped: temporaryFolder(context) };
const state = { scraped: temporaryFolder(context), unscraped: temporaryFolder(context) };
const guests = new Map<string, BlkGuest>();
for (const [name, { program }] of Object.entries(SITUATIONS)) {
  guests.set(name, start(name));
  if (program !== undefined) await begins(name);
  beNice(name);
}

const counts = new Map<string, Counts>();
const wrong: string[] = [];
const readsBefore = await allReads();
let daemon = await serve('scraped');
const silent = await serve('unscraped');
const begin = Date.now();
const elapsed = (): number => Date.now() - begin;
const acts = Object.entries(SITUATIONS)
  .flatMap(([name, { steps = [] }]) => steps.map(({ at, act }) => ({ name, at: at * durationMs, act })))
  .sort((a, b) => a.at - b.at);
let foreignPinsUntil = 0;
let isRestarted = false;
let unread = 0;
let printed = 0;
for (let next = EVERY_MS; next <= durationMs; next += EVERY_MS) {
  await sleep(Math.max(0, next - elapsed()));
  while (acts[0] !== undefined && acts[0].at <= elapsed()) {
    const { name, act } = acts[0];
    acts.shift();
    await perform(name, act);
  }
  if (hasForeignPins()) foreignPinsUntil = elapsed() + FOREIGN_MS;
  try {
    judge('scraped', await scrapedStates());
  } catch (error) {
    unread++;
    process.stderr.write(`${error}\n`);
  }
  judge('unscraped', keptStates());
  if (!isRestarted && elapsed() > RESTART_AT * durationMs) {
    isRestarted = true;
    await daemon.stop();
    daemon = await serve('scraped');
  }
  const tables = Math.floor((TABLES * elapsed()) / durationMs);
  if (tables > printed && tables < TABLES) report(await allReads());
  printed = tables;
}
report(await allReads());
await daemon.stop();
await silent.stop();
process.exit(wrong.length === 0 ? 0 : 1);

function start(name: string): BlkGuest {
  const { program, pollMaxNs, isPinned = false } = SITUATIONS[name] ?? { program: undefined, pollMaxNs: 0 };
  const boot = Buffer.alloc(1024 * 1024);
  boot.set(IDLE_GUEST);
  boot.set([0x55, 0xaa], 510);
  const guest = blkGuest(context, {
    name: vmOf(name),
    pollMaxNs,
    sockets: sockets.scraped,
    ...(program ?? { iosPerKick: 1, honoursNoNotify: false, boot }),
    extra: ['-qmp', `unix:${sockets.unscraped}/${name}.sock,server=on,wait=off`],
  });
  if (isPinned) guest.pin(0, 1);
  return guest;
}

/**
 * QEMU is a session of its own, and its share of the CPU time is that of its session (sched(7)). Within the session,
 * the monitor's thread precedes threads that do not sleep.
 */
function beNice(name: string): void {
  const { pid } = guestOf(name);
  const vcpus = SITUATIONS[name]?.program?.queues === undefined ? ['CPU 0/KVM'] : ['CPU 0/KVM', 'CPU 1/KVM'];
  for (const comm of [...vcpus, 'IO io0']) setPriority(Number(threadId(pid, comm)), LOWEST);
  const share = `/proc/${pid}/autogroup`;
  const { pollMaxNs, program } = SITUATIONS[name] ?? {};
  const polls = pollMaxNs === POLLS && program?.honoursNoNotify === true;
  if (existsSync(share)) writeFileSync(share, String(polls ? NICE_POLLER : NICE));
}

/** Other runs may have guests of their own. */
function vmOf(name: string): string {
  return `verdict-${process.pid}-${name}`;
}

function guestOf(name: string): BlkGuest {
  const guest = guests.get(name);
  if (guest === undefined) throw new Error(`no guest ${name}`);
  return guest;
}

async function serve(reader: Reader): Promise<Daemon> {
  const folder = state[reader];
  mkdirSync(folder, { recursive: true });
  for (const [name, { phase }] of Object.entries(SITUATIONS)) {
    if (phase === undefined) continue;
    execFileSync(process.execPath, [MAIN, 'phase', 'set', vmOf(name), phase, `--state.dir=${folder}`]);
  }
  const flags = [`--qmp.sockets=${sockets[reader]}/*.sock`, `--qmp.directories=${sockets[reader]}`];
  const daemon = await startDaemon(context, flags, { KVM_TELEMETRY_STATE_DIR: folder });
  daemon.child.once('exit', (code, signal) => {
    if (code !== 0)
      fail(`the ${reader} daemon ended with ${code ?? signal}: ${JSON.stringify(daemon.log.at(-1))}`);
  });
  return daemon;
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** Whether a VM of another run on this machine has a vCPU that is pinned to one CPU. */
function hasForeignPins(): boolean {
  const own = new Set([...guests.values()].map(({ pid }) => String(pid)));
  const text = (path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  };
  const others = readdirSync('/proc').filter(
    (pid) => /^\d+$/.test(pid) && !own.has(pid) && text(`/proc/${pid}/comm`).startsWith('qemu-system'),
  );
  return others.some((pid) =>
    threadsOf(pid).some((tid) => {
      const status = text(`/proc/${pid}/task/${tid}/status`);
      return /^Name:\tCPU \d/.test(status) && /^Cpus_allowed_list:\t\d+$/m.test(status);
    }),
  );
}

function threadsOf(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

async function perform(name: string, act: Act): Promise<void> {
  const guest = guestOf(name);
  const polls = (value: number): Promise<unknown> =>
    qmpCommand(guest.monitor, {
      execute: 'qom-set',
      arguments: { path: '/objects/io0', property: 'poll-max-ns', value },
    });
  process.stderr.write(`${(elapsed() / 60_000).toFixed(1)} min: ${name}: ${act}\n`);
  if (act === 'pin') guest.pin(0, 1);
  else if (act === 'unpin') guest.unpin();
  else if (act === 'unpin vCPU') guest.unpinVcpu();
  else if (act === 'queues') await guest.changeQueues();
  else if (act === 'polling off') await polls(0);
  else if (act === 'polling on') await polls(POLLS);
  else await qmpCommand(guest.monitor, { execute: act === 'reset' ? 'system_reset' : act });
}

async function reads(name: string): Promise<number> {
  const disks = (await qmpCommand(guestOf(name).monitor, { execute: 'query-blockstats' })) as {
    qdev?: string;
    stats: { rd_operations: number };
  }[];
  return disks.find(({ qdev }) => qdev?.includes('vda'))?.stats.rd_operations ?? 0;
}

async function begins(name: string): Promise<void> {
  for (const end = Date.now() + BOOT_MS; (await reads(name)) <= BOOTED_READS; await sleep(200))
    if (Date.now() > end) fail(`the guest ${name} does not read`);
}

async function allReads(): Promise<Map<string, number>> {
  const all = new Map<string, number>();
  for (const name of guests.keys()) all.set(name, await reads(name));
  return all;
}

type Found = (name: string, technique: Technique) => string | undefined;

async function scrapedStates(): Promise<Found> {
  const samples = parseSamples(await daemon.metrics());
  const states = new Map<string, string>();
  for (const [key, value] of samples) {
    const [, vm, technique, found] =
      /^kvm_vm_technique_state\{vm="([^"]*)",technique="(\w+)",state="(\w+)"/.exec(key) ?? [];
    if (found !== undefined && value === 1) states.set(`${vm} ${technique}`, found);
  }
  return (name, technique) => states.get(`${vmOf(name)} ${technique}`);
}

/** The state that the daemon keeps for a restart. */
function keptStates(): Found {
  let vms: Record<string, Partial<Record<Technique, { state: string }>>> = {};
  try {
    ({ vms } = JSON.parse(readFileSync(`${state.unscraped}/techniques.json`, 'utf8')));
  } catch {
    // It is written after the first round.
  }
  const byPid = new Map(Object.entries(vms).map(([key, kept]) => [Number(key.split(':')[0]), kept]));
  return (name, technique) => byPid.get(guestOf(name).pid)?.[technique]?.state;
}

function countsOf(name: string, reader: Reader): Counts {
  const key = `${name} ${reader}`;
  const before = counts.get(key) ?? { right: 0, wrong: 0, unknown: 0, settling: 0, foreign: 0, slowest: 0 };
  counts.set(key, before);
  return before;
}

function judge(reader: Reader, found: Found): void {
  for (const [name, situation] of Object.entries(SITUATIONS)) {
    const { states, since } = expectedAt(situation, elapsed() / durationMs);
    const count = countsOf(name, reader);
    const after = elapsed() - since * durationMs;
    for (const technique of TECHNIQUES) {
      const [is, state = 'unknown'] = [states[technique], found(name, technique)];
      if (state === is) count.right++;
      else if (technique === 'affinity' && elapsed() < foreignPinsUntil) count.foreign++;
      else if (after < SETTLING_MS) {
        count.settling++;
        count.slowest = Math.max(count.slowest, after);
      } else if (state === 'unknown') count.unknown++;
      else {
        count.wrong++;
        const line = `${(elapsed() / 60_000).toFixed(1)} min, ${reader}: ${technique} of ${name} is ${state}, not ${is}`;
        wrong.push(line);
        process.stderr.write(`${line}\n`);
      }
    }
  }
}

function report(readsNow: ReadonlyMap<string, number>): void {
  const seconds = elapsed() / 1000;
  const head = ['situation', 'I/Os a second'];
  const columns = READERS.flatMap((reader) => [
    `${reader}: right`,
    'wrong',
    'unknown',
    'settling',
    'slowest',
  ]);
  const rows = Object.entries(SITUATIONS).map(([name, { what }]) => {
    const rate = ((readsNow.get(name) ?? 0) - (readsBefore.get(name) ?? 0)) / seconds;
    const cells = READERS.flatMap((reader) => {
      const { right, wrong: bad, unknown, settling, slowest } = countsOf(name, reader);
      return [right, bad, unknown, settling, `${(slowest / 1000).toFixed(0)} s`].map(String);
    });
    return [what, rate.toFixed(0), ...cells];
  });
  const sum = (of: (each: Counts) => number): number =>
    [...counts.values()].reduce((all, each) => all + of(each), 0);
  process.stdout.write(
    [
      markdown([[...head, ...columns], ...rows]),
      `${(seconds / 60).toFixed(1)} minutes; ${sum(({ right }) => right)} right, ${wrong.length} wrong, ` +
        `${sum(({ unknown }) => unknown)} unknown, ${sum(({ settling }) => settling)} while settling, ${sum(({ foreign }) => foreign)} beside pins of other runs; ${unread} scrapes failed`,
      ...wrong.slice(0, 100),
      '',
    ].join('\n'),
  );
}
