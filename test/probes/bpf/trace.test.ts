import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { OBJECTS } from '../../../exporter/trace/bpf/objects.ts';
import { type Row, rowsOf } from '../../../exporter/trace/bpf/rows.ts';
import { openLibbpf } from '../../../probes/bpf/libbpf.ts';
import { TraceObject, type TraceObjectName } from '../../../probes/bpf/trace-object.ts';
import type { SourceError } from '../../../probes/errors.ts';
import { readTaskMigrations } from '../../../probes/proc-task-sched.ts';
import { heldBy, isInKernel } from '../../../testing/bpf-held.ts';
import { liveHost } from '../../../testing/captured.ts';
import { ROOT } from '../../../testing/daemon.ts';
import { canRunKickingGuests, type KickingGuest, kickingGuest } from '../../../testing/kicking-guest.ts';
import { until } from '../../../testing/patience.ts';
import { threadId } from '../../../testing/qemu.ts';
import { has, hasTool } from '../../../testing/tools.ts';

const HOST = liveHost();
const NOTIFICATIONS = 'trace-notifications';
/** Of the program on kvm_pio. */
const PIO = 2;
const LEGACY_PORTS = 0x1000;
const ALWAYS = { share: 1, window: 0 };

function load(context: TestContext, name: TraceObjectName): TraceObject | undefined {
  try {
    const object = TraceObject.load(openLibbpf(), name);
    context.after(() => object.close());
    return object;
  } catch (error) {
    has(context, false, `BPF cannot be used here: ${String(error)}`);
    return undefined;
  }
}

/** Notifications at ports of a guest, as the map has them. */
function kicksIn(object: TraceObject, { pid }: KickingGuest): number {
  const spec = OBJECTS.flatMap(({ maps }) => maps).find(({ name }) => name === 'pio_counts');
  if (spec === undefined) throw new Error('pio_counts is gone');
  const map = object.map(spec.name);
  return rowsOf(map.read(), spec, map)
    .filter(({ tid, fields }) => existsSync(`/proc/${pid}/task/${tid}`) && (fields[1] ?? 0) >= LEGACY_PORTS)
    .reduce((sum, { weight }) => sum + weight, 0);
}

/** Lets a stopped guest run for a moment. @returns its reads in that time */
async function run(guest: KickingGuest): Promise<number> {
  const before = await guest.reads();
  await guest.go();
  await sleep(700);
  return (await guest.stopAndCount()) - before;
}

test('every object of this kernel loads, attaches and has the maps that the exporter reads', (context) => {
  const names = OBJECTS.map(({ name }) => name).filter((name) => name !== 'trace-exits');
  for (const name of names) {
    const object = load(context, name);
    if (object === undefined) return;
    const spec = OBJECTS.find((each) => each.name === name);
    for (const { name: program } of spec?.programs(new Set(spec.sets)) ?? []) object.attach(program);
    for (const map of spec?.maps ?? []) {
      const counts = object.map(map.name);
      rowsOf(counts.take(), map, counts);
    }
  }
});

test("each kick and switch is counted, and a sample's weights are right within five standard errors", async (context) => {
  if (!canRunKickingGuests(context)) return;
  const object = load(context, NOTIFICATIONS);
  if (object === undefined) return;
  const guests = ['kt-kicks', 'kt-kicks-too'].map((name) => kickingGuest(context, name, 1));
  const [guest, other] = (await Promise.all(guests)) as [KickingGuest, KickingGuest];
  await Promise.all([guest.stopAndCount(), other.stopAndCount()]);
  object.attach('pio');
  const exact = await Promise.all([run(guest), run(other)]);
  assert.ok(
    exact.every((kicks) => kicks > 1000),
    String(exact),
  );
  assert.deepEqual([kicksIn(object, guest), kicksIn(object, other)], exact);

  const period = 16;
  object.gates.set({ periods: [1, 1, period], ...ALWAYS });
  const before = gate(object);
  const more = await Promise.all([run(guest), run(other)]);
  const all = kicksIn(object, guest) + kicksIn(object, other) - sum(exact);
  const after = gate(object);
  const [events, samples] = [after.events - before.events, after.passed - before.passed];
  // The weights add up to all events on each CPU, as of the last one in the sample.
  assert.ok(Math.abs(all - sum(more)) < sum(more) / 50, `${all} of ${sum(more)}`);
  assert.ok(Math.abs(samples / (events / period) - 1) < 0.1, `${samples} samples of ${events}`);
  // Binomial, with weights from 1 to 2 * period - 1 instead of equal ones, which makes the variance 4/3 as large.
  const error = (period / 2) * Math.sqrt((samples * 4) / 3);
  const kicks = kicksIn(object, guest) - (exact[0] ?? 0);
  assert.ok(Math.abs(kicks - (more[0] ?? 0)) < 5 * error, `${kicks} for ${more[0]} kicks, error ${error}`);

  // Back to one: exact again, after the sample that is due on each CPU on which the guest runs next.
  object.gates.set({ periods: [], ...ALWAYS });
  const from = kicksIn(object, guest);
  const reads = await run(guest);
  const mostDue = 2 * period * cpus().length;
  const surplus = kicksIn(object, guest) - from - reads;
  assert.ok(surplus >= 0 && surplus <= mostDue, `${surplus} too many of ${reads}`);
  await checkWindows(object, guest, mostDue);
  await checkSwitches(context, guest);
});

/**
 * The kernel times each run while it is asked to, and no others.
 *
 * @param mostDue events that may still count from a sample
 */
async function checkTiming(object: TraceObject, guest: KickingGuest, mostDue: number): Promise<void> {
  const untimed = object.runs('pio');
  await run(guest);
  assert.deepEqual(object.runs('pio'), untimed);
  let timing: ReturnType<TraceObject['timeRuns']>;
  try {
    timing = object.timeRuns();
  } catch (error) {
    assert.equal((error as SourceError).kind, 'denied');
    return;
  }
  const before = kicksIn(object, guest);
  await run(guest);
  const kicks = (kicksIn(object, guest) - before) / 4;
  timing.stop();
  const runs = object.runs('pio');
  assert.ok(
    runs.count - untimed.count >= kicks - mostDue,
    `${runs.count - untimed.count} runs of ${kicks} kicks`,
  );
  const mean = (runs.ns - untimed.ns) / (runs.count - untimed.count);
  assert.ok(mean > 5 && mean < 100_000, `${mean} ns`);
}

/**
 * A detached program counts nothing, and an event in a window stands for those outside.
 *
 * @param mostDue events that may still count from a sample
 */
async function checkWindows(object: TraceObject, guest: KickingGuest, mostDue: number): Promise<void> {
  object.detach();
  const before = kicksIn(object, guest);
  assert.ok((await run(guest)) > 1000);
  assert.equal(kicksIn(object, guest), before);
  object.gates.set({ periods: [], share: 4, window: 1 });
  object.attach('pio');
  const reads = await run(guest);
  const surplus = (kicksIn(object, guest) - before) / 4 - reads;
  assert.ok(surplus >= 0 && surplus <= mostDue, `${surplus} too many of ${reads}`);
  await checkTiming(object, guest, mostDue);
}

/** Switches and moves of a vCPU equal those of /proc, and other threads have no rows. */
async function checkSwitches(context: TestContext, guest: KickingGuest): Promise<void> {
  const object = load(context, 'trace-sched');
  if (object === undefined) return;
  const tid = Number(threadId(guest.pid, 'CPU 0/KVM'));
  const thread = `/proc/${guest.pid}/task/${tid}`;
  const status = (): number => {
    const text = readFileSync(`${thread}/status`, 'latin1');
    return sum([...text.matchAll(/ctxt_switches:\t(\d+)/g)].map(([, count]) => Number(count)));
  };
  object.follow([tid]);
  object.attach('switches');
  object.attach('migrations');
  const [switches, moves] = [status(), readTaskMigrations(HOST, thread)];
  await guest.go();
  for (let i = 0; i < 20; i++) {
    execFileSync('taskset', ['-pc', String(i % 2), String(tid)], { stdio: 'ignore' });
    await sleep(20);
  }
  await guest.stopAndCount();
  const counted = rowsIn(object, 'switch_counts');
  assert.deepEqual(
    counted.map((row) => row.tid),
    [tid],
  );
  assert.equal(sum(counted.map(({ weight }) => weight)), status() - switches);
  const moved = sum(rowsIn(object, 'migration_counts').map(({ weight }) => weight));
  assert.ok(cpus().length === 1 || moved > 10, `${moved}`);
  assert.equal(moved, readTaskMigrations(HOST, thread) - moves);
}

function gate(object: TraceObject): { events: number; passed: number } {
  const cpus = object.gates.read(PIO);
  return { events: sum(cpus.map(({ events }) => events)), passed: sum(cpus.map(({ passed }) => passed)) };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** Rows of a map of an object, by its description. */
function rowsIn(object: TraceObject, name: string): Row[] {
  const spec = OBJECTS.flatMap(({ maps }) => maps).find((each) => each.name === name);
  if (spec === undefined) throw new Error(`${name} is gone`);
  const map = object.map(name);
  return rowsOf(map.read(), spec, map);
}

test('each wait of a process for a contended lock is counted once', async (context) => {
  if (!hasTool(context, 'perf', 'linux-perf')) return;
  const object = load(context, 'trace-lock');
  if (object === undefined) return;
  const bench = ['sh', '-c', 'read x; exec perf bench sched messaging -t -g 2 -l 600 >/dev/null'];
  const child = spawn('perf', ['stat', '-x,', '-e', 'lock:contention_end', '--', ...bench], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  context.after(() => child.kill('SIGKILL'));
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const shell = (): number =>
    Number(spawnSync('pgrep', ['-P', String(child.pid), '-x', 'sh'], { encoding: 'utf8' }).stdout);
  await until(() => shell() > 0, 'the shell waits');
  object.follow([shell()]);
  for (const program of ['ends', 'contentions']) object.attach(program);
  const exited = new Promise((resolve) => child.once('close', resolve));
  child.stdin.end('\n');
  await exited;
  const ends = Number(/^(\d+),,lock:contention_end/m.exec(errors)?.[1]);
  const rows = rowsIn(object, 'contention_durations');
  const waits = sum(rows.map(({ weight }) => weight));
  // A wait for another lock within a wait has an end without a beginning.
  assert.ok(ends > 100 && Math.abs(waits - ends) <= 10 + ends * 0.02, `${waits} of ${ends}: ${errors}`);
  assert.ok(sum(rows.map(({ more: [ns = 0] }) => ns)) > 0);
});

test('a process that is killed leaves no program, link or map in the kernel', async (context) => {
  if (load(context, NOTIFICATIONS) === undefined || !hasTool(context, 'bpftool', 'bpftool')) return;
  const program = `
    const { openLibbpf } = await import('${ROOT}dist/probes/bpf/libbpf.js');
    const { TraceObject } = await import('${ROOT}dist/probes/bpf/trace-object.js');
    globalThis.object = TraceObject.load(openLibbpf(), '${NOTIFICATIONS}');
    for (const program of ['pio', 'mmio', 'userspace_exits']) object.attach(program);
    console.log('attached');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  const held = heldBy(child.pid);
  assert.ok(held.filter(([kind]) => kind === 'link').length === 3 && held.every(isInKernel), String(held));
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
  // The kernel frees a program after a grace period.
  for (let i = 0; i < 100 && held.some(isInKernel); i++) await sleep(100);
  assert.deepEqual(held.filter(isInKernel), []);
});
