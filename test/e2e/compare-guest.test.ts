import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BlkGuest, type BlkOptions, blkGuest } from '../../testing/blk-guest.ts';
import { type Daemon, ROOT, startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { qmpCommand } from '../../testing/guest-with-monitor.ts';
import { series } from '../../testing/metrics.ts';
import { until } from '../../testing/patience.ts';
import { canRunGuests } from '../../testing/qemu.ts';
import { has, hasTool } from '../../testing/tools.ts';

const VM = 'kt-compare';
const RUN_MS = 2000;
/** Without BPF the exporter reads ticks: of two busy threads, in the kernel and in user space. */
const TICKS = 4 * 0.01;
/** A second: the load of other processes does not send the poller to sleep. */
const POLLS = 1_000_000_000;

/** The counts of the guest, QEMU and the kernel while the guest is stopped. */
interface Truth {
  /** Seconds of the epoch. */
  readonly at: number;
  readonly reads: number;
  readonly kicks: number;
  readonly cpu: number;
  readonly ioThread: number;
}

interface Recorded {
  readonly reads: number;
  readonly kicks: number;
}

interface Moment extends Truth {
  /** The saved output of /metrics. */
  readonly file: string;
  /** The daemon's recording of the same time. */
  readonly recorded: Recorded | undefined;
}

interface Report {
  readonly configurations: readonly {
    readonly values: Readonly<Record<string, { readonly value: number | null; readonly why?: string }>>;
    readonly againstFirst: {
      readonly changes: Readonly<Record<string, { readonly gain: number; readonly verdict: string }>>;
    } | null;
  }[];
}

async function reads(monitor: string): Promise<number> {
  const disks = (await qmpCommand(monitor, { execute: 'query-blockstats' })) as {
    qdev?: string;
    stats: { rd_operations: number };
  }[];
  return Math.max(...disks.map(({ stats }) => stats.rd_operations));
}

/** CPU seconds of a process's threads by name: /proc/<pid>/task/<tid>/schedstat. */
function cpuOf(pid: number): Map<string, number> {
  const seconds = new Map<string, number>();
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    const file = (name: string): string => readFileSync(`/proc/${pid}/task/${tid}/${name}`, 'latin1').trim();
    const [run = '0'] = file('schedstat').split(' ');
    const comm = file('comm');
    seconds.set(comm, (seconds.get(comm) ?? 0) + Number(run) / 1e9);
  }
  return seconds;
}

/** A scrape that began after this call, as this test reads the recording. */
async function nextScrape(recording: string): Promise<Recorded> {
  const lines = (): string[] => readFileSync(recording, 'utf8').split('\n').slice(0, -1);
  const before = lines().length;
  // The first of two may have begun earlier.
  await until(() => lines().length > before + 1, 'two more scrapes in the recording');
  const series: string[] = [];
  let last: readonly (number | null)[] = [];
  for (const line of lines().filter((each) => each !== '')) {
    const { recording: head, new: fresh = [], values } = JSON.parse(line);
    if (head !== undefined) series.length = 0;
    series.push(...fresh);
    last = values ?? last;
  }
  const sum = (pattern: RegExp): number =>
    series.reduce((all, text, i) => all + (pattern.test(text) ? (last[i] ?? 0) : 0), 0);
  return {
    reads: sum(new RegExp(`^kvm_vm_disk_reads_completed_total{vm="${VM}"`)),
    kicks: sum(new RegExp(`^kvm_vm_io_path_events_total{vm="${VM}",step="kick"`)),
  };
}

/** Stops the guest, so that nothing grows between two readings of the same counter, and reads everything. */
async function frozen(
  { monitor, pid, kicks }: BlkGuest,
  daemon: Daemon,
  file: string,
  recording?: string,
): Promise<Moment> {
  await qmpCommand(monitor, { execute: 'stop' });
  // QEMU counts a read in flight when it ends.
  let before = -1;
  await until(async () => {
    const last = before;
    before = await reads(monitor);
    return before === last;
  });
  // The first of two may join a collection that began while the guest ran.
  await daemon.metrics();
  writeFileSync(file, await daemon.metrics());
  const at = statSync(file).mtimeMs / 1000;
  const counted = { at, reads: before, kicks: await kicks() };
  const cpu = cpuOf(pid);
  const all = [...cpu.values()].reduce((sum, each) => sum + each, 0);
  const recorded = recording === undefined ? undefined : await nextScrape(recording);
  await qmpCommand(monitor, { execute: 'cont' });
  return { ...counted, cpu: all, ioThread: cpu.get('IO io0') ?? Number.NaN, file, recorded };
}

/** A guest from begin to end of a configuration. */
async function measured(
  guest: BlkGuest,
  daemon: Daemon,
  name: string,
  recording?: string,
): Promise<[Moment, Moment]> {
  const begin = await frozen(guest, daemon, `${name}-begin`, recording);
  await sleep(RUN_MS);
  return [begin, await frozen(guest, daemon, `${name}-end`, recording)];
}

function compare(...args: readonly string[]): Report {
  const command = [`${ROOT}dist/exporter/main.js`, 'compare', '--vm', VM, '--format', 'json', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Report;
}

function kicksARead([begin, end]: readonly [Truth, Truth]): number {
  return (end.kicks - begin.kicks) / (end.reads - begin.reads);
}

/** Checks the values of both configurations against the truth. */
function check({ configurations }: Report, truth: readonly (readonly [Truth, Truth])[]): void {
  for (const [i, [begin, end]] of truth.entries()) {
    const ios = end.reads - begin.reads;
    const seconds = end.at - begin.at;
    const cpu = end.cpu - begin.cpu;
    const slack = (100 * TICKS) / seconds;
    const expected: Record<string, readonly [value: number, slack: number]> = {
      iops: [ios / seconds, 0],
      cpu: [(100 * cpu) / seconds, slack],
      cpu_iothread: [(100 * (end.ioThread - begin.ioThread)) / seconds, slack],
      cpu_per_1000_ios: [(1000 * cpu) / ios, (1000 * TICKS) / ios],
      // The stop may fall between a kick and its count.
      kicks_per_io: [kicksARead([begin, end]), 2 / ios],
    };
    for (const [id, [value, more]] of Object.entries(expected)) {
      const found = configurations[i]?.values[id]?.value ?? Number.NaN;
      const isNear = Math.abs(found - value) < 0.01 * value + more;
      assert.ok(isNear, `${id} of configuration ${i}: ${found}, and not ${value}`);
    }
  }
}

test('compare agrees with QMP and /proc on a real guest', async (context) => {
  if (!canRunGuests(context) || !hasTool(context, 'as', 'binutils')) return;
  const folder = temporaryFolder(context);
  const sockets = temporaryFolder(context);
  const recording = join(folder, 'recording');
  const start = (options: Omit<BlkOptions, 'name' | 'sockets'>): BlkGuest =>
    blkGuest(context as TestContext, { name: VM, sockets, ...options });
  const daemon = await startDaemon(context, [
    '--inventory.schedule=*/2 * * * * *',
    ...[`--qmp.sockets=${sockets}/*.sock`, `--qmp.directories=${sockets}`, '--trace.budget=1'],
    ...[`--record.file=${recording}`, '--record.schedule=* * * * * *'],
  ]);
  const backend = series(await daemon.samples(), 'kvm_telemetry_trace_backend_info');
  if (!has(context, backend.length > 0, 'trace events cannot be counted here')) return;
  const reading = async ({ monitor }: BlkGuest): Promise<void> =>
    until(async () => (await reads(monitor)) > 1000, 'the guest reads');

  const one = start({ iosPerKick: 1, pollMaxNs: 0, honoursNoNotify: false });
  await reading(one);
  const before = await measured(one, daemon, join(folder, 'one'), recording);
  one.stop();
  const four = start({ iosPerKick: 4, pollMaxNs: 0, honoursNoNotify: false });
  await reading(four);
  const after = await measured(four, daemon, join(folder, 'four'), recording);
  four.stop();
  const polled = start({ iosPerKick: 4, pollMaxNs: 0, honoursNoNotify: true });
  await reading(polled);
  const asleep = await measured(polled, daemon, join(folder, 'asleep'));
  const on = { path: '/objects/io0', property: 'poll-max-ns', value: POLLS };
  await qmpCommand(polled.monitor, { execute: 'qom-set', arguments: on });
  const polling = await measured(polled, daemon, join(folder, 'polling'));
  polled.stop();
  await daemon.stop();

  const files = (...moments: readonly Moment[]): string[] =>
    moments.flatMap(({ file }) => ['--recording', file]);

  await context.test('one read per kick against four, from saved outputs', () => {
    const report = compare(...files(...before, ...after));
    check(report, [before, after]);
    assert.deepEqual(
      [before, after].map((each) => Math.round(1 / kicksARead(each))),
      [1, 4],
    );
    const change = report.configurations[1]?.againstFirst?.changes['ios_per_kick'];
    assert.ok(Math.abs((change?.gain ?? 0) - 3) < 0.1, String(change?.gain));
    assert.equal(change?.verdict, 'unknown');
  });

  await context.test('IOThread polling off against on', () => {
    const report = compare(...files(...asleep, ...polling));
    check(report, [asleep, polling]);
    // The saving by polling depends on the CPU time of the poller, so compare it with the guest's own count.
    const gain = kicksARead(polling) / kicksARead(asleep) - 1;
    const change = report.configurations[1]?.againstFirst?.changes['kicks_per_io'];
    assert.ok(Math.abs((change?.gain ?? Number.NaN) - gain) < 0.03, `${change?.gain}, and not ${gain}`);
  });

  await context.test('the recording of the daemon', () => {
    for (const [[begin, end], kick] of [
      [before, 1],
      [after, 4],
    ] as const) {
      const growth = (of: keyof Recorded): number => (end.recorded?.[of] ?? 0) - (begin.recorded?.[of] ?? 0);
      const perKick = growth('reads') / growth('kicks');
      assert.ok(Math.abs(perKick / kick - 1) < 0.01, `${perKick} reads a kick, and not ${kick}`);
    }
    const span = ([begin, end]: readonly [Moment, Moment]): string =>
      `${begin.at.toFixed(3)}/${end.at.toFixed(3)}`;
    const times = ['--before', span(before), '--after', span(after), '--warm-up', '0s'];
    const { configurations } = compare('--recording', recording, ...times);
    for (const { values } of configurations)
      assert.match(values['iops']?.why ?? '', /only \d+ samples?, and 20 are needed/);
  });
});
