import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type PerfCounter, PerfCounters } from '../../exporter/trace/perf-counters.ts';
import { type PerfEvent, type PerfProcess, perfStarter } from '../../exporter/trace/perf-process.ts';
import type { SourceError } from '../../probes/errors.ts';
import type { PerfCounts } from '../../probes/perf-stat.ts';
import { countingGuest, PORTS, SERIAL_PORT } from '../../testing/counting-guest.ts';
import { ROOT } from '../../testing/daemon.ts';
import { until } from '../../testing/patience.ts';
import { canRunGuests } from '../../testing/qemu.ts';
import { has, hasTool } from '../../testing/tools.ts';

const TRACEPOINT = '/sys/kernel/tracing/events/kvm/kvm_pio';
const EVENT = 'kvm:kvm_pio';
const INTERVAL_MS = 500;
const writes = (name: string, port: number): PerfCounter => ({
  name,
  event: EVENT,
  filter: `rw == 1 && port == ${port}`,
});
const COUNTERS: readonly PerfCounter[] = [
  writes('first', PORTS[0]),
  { name: 'entry', event: 'kvm:kvm_entry', filter: undefined },
  writes('second', PORTS[1]),
  writes('serial', SERIAL_PORT),
  { name: 'all', event: EVENT, filter: undefined },
];

function hasPerf(context: TestContext): boolean {
  return (
    hasTool(context, 'perf', 'linux-perf') &&
    has(context, process.geteuid?.() === 0, 'only root may count trace events') &&
    has(
      context,
      existsSync(TRACEPOINT),
      `${TRACEPOINT} is missing: mount -t tracefs none /sys/kernel/tracing`,
    )
  );
}

function canRun(context: TestContext): boolean {
  return hasPerf(context) && canRunGuests(context);
}

/** A process to count, with any work. */
function sleeper(context: TestContext, seconds: number): number {
  const child = spawn('sleep', [String(seconds)]);
  context.after(() => child.kill('SIGKILL'));
  return child.pid ?? 0;
}

/** Of each perf that counts this thread: a zombie has no command line. */
function perfsOf(tid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        const tids = args
          .find((arg) => arg.startsWith('--tid='))
          ?.slice('--tid='.length)
          .split(',');
        return args[0] === 'perf' && tids?.includes(String(tid)) === true;
      } catch {
        return false;
      }
    });
}

/** Puts a program named perf in front of the PATH. @returns a folder that it may write to */
function fakePerf(context: TestContext, script: string | undefined): string {
  const folder = mkdtempSync(join(tmpdir(), 'kt-perf-'));
  const path = process.env['PATH'];
  context.after(() => {
    process.env['PATH'] = path;
    rmSync(folder, { recursive: true, force: true });
  });
  if (script !== undefined) writeFileSync(join(folder, 'perf'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  process.env['PATH'] = script === undefined ? folder : `${folder}:${path}`;
  return folder;
}

interface Ended {
  readonly counts: readonly PerfCounts[];
  readonly problem: SourceError;
}

/** Runs a perf until it ends, by itself or through `end`. */
function run(
  events: readonly PerfEvent[],
  tids: readonly number[],
  end: (perf: PerfProcess) => void | Promise<void> = () => undefined,
): Promise<Ended> {
  return new Promise((resolve) => {
    const counts: PerfCounts[] = [];
    const perf = perfStarter(INTERVAL_MS)(events, tids, {
      counted: (each) => counts.push(each),
      ended: (problem) => resolve({ counts, problem }),
    });
    void end(perf);
  });
}

test("perf's counts equal the guests' own counts", async (context) => {
  if (!canRun(context)) return;
  const one = countingGuest(context, 'kt-count-one', [30_000, 7_000]);
  const two = countingGuest(context, 'kt-count-two', [123, 45_678]);
  // The perf process that has counted. perf takes a moment to begin.
  const begun: boolean[] = [];
  const start = perfStarter(INTERVAL_MS);
  const perf = new PerfCounters(COUNTERS, (events, tids, listener) => {
    const i = begun.push(false) - 1;
    const counted = (counts: PerfCounts): void => {
      begun[i] = true;
      listener.counted(counts);
    };
    return start(events, tids, { ...listener, counted });
  });
  context.after(() => perf.stop());
  // The vCPU that does the work comes later in one of them, to a perf of its own.
  const targets = [
    { key: 'one', tids: one.vcpus },
    { key: 'two', tids: two.vcpus },
  ];
  perf.follow([{ key: 'one', tids: one.vcpus.slice(1) }]);
  perf.follow(targets);
  perf.follow(targets);
  await until(() => begun.length === 3 && begun.every(Boolean), String(perf.problems));
  await Promise.all([one.begin(), two.begin()]);
  assert.deepEqual(await one.counted(), [30_000, 7_000]);
  assert.deepEqual(await two.counted(), [123, 45_678]);
  perf.follow(targets);
  await perf.stop();
  for (const [key, guest] of Object.entries({ one, two })) {
    const counts = perf.counts(key);
    assert.deepEqual([counts?.get('first'), counts?.get('second')], await guest.counted(), key);
    assert.equal(counts?.get('serial'), guest.serialOutput().length, 'a byte is a write');
    assert.ok((counts?.get('all') ?? 0) >= (counts?.get('first') ?? 0) + (counts?.get('second') ?? 0));
  }
  assert.deepEqual(perf.problems, []);
});

test('a killed perf is reported and replaced, and no count falls', async (context) => {
  if (!hasPerf(context)) return;
  const tid = sleeper(context, 60);
  const perf = new PerfCounters(COUNTERS, perfStarter(INTERVAL_MS));
  context.after(() => perf.stop());
  const targets = [{ key: 'vm', tids: [tid] }];
  perf.follow(targets);
  await until(() => perf.counts('vm') !== undefined, 'counts');
  const [first] = perfsOf(tid);
  // kill(0) would end the process group.
  assert.ok(first !== undefined, 'perf runs');
  process.kill(first, 'SIGKILL');
  await until(() => perf.problems.length === 1, 'a problem');
  assert.equal(perf.problems[0]?.message, 'perf: ended without a message (SIGKILL)');
  perf.follow(targets);
  assert.deepEqual(perfsOf(tid), [], 'not before a second has passed');
  await sleep(1000);
  perf.follow(targets);
  await until(() => perf.problems.length === 0, 'well again');
  assert.deepEqual(Object.fromEntries(perf.counts('vm') ?? []), {
    first: 0,
    entry: 0,
    second: 0,
    serial: 0,
    all: 0,
  });
  await perf.stop();
  assert.deepEqual(perfsOf(tid), []);
});

test('perf ends within two intervals after the daemon is killed', async (context) => {
  if (!hasPerf(context)) return;
  for (const stalls of [false, true]) {
    const tid = sleeper(context, 60);
    const script = `
      import { perfStarter } from '${ROOT}dist/exporter/trace/perf-process.js';
      const event = { event: '${EVENT}', filter: undefined };
      const counted = () => {
        console.log('counted');
        while (${stalls});
      };
      perfStarter(${INTERVAL_MS})([event], [${tid}], { counted, ended: console.log });`;
    const daemon: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script]);
    context.after(() => daemon.kill('SIGKILL'));
    await new Promise((resolve) => daemon.stdout?.once('data', resolve));
    assert.equal(perfsOf(tid).length, 1);
    daemon.kill('SIGKILL');
    const start = performance.now();
    await until(() => perfsOf(tid).length === 0, 'perf ends');
    const took = performance.now() - start;
    assert.ok(took < 2 * INTERVAL_MS, `${took} ms`);
  }
});

test('perf ends with its threads, and threads that were already gone are reported', async (context) => {
  if (!hasPerf(context)) return;
  const { counts, problem } = await run(COUNTERS, [sleeper(context, 1)]);
  assert.ok(counts.length > 1);
  assert.equal(problem.kind, 'vanished');
  const late = await run(COUNTERS, [sleeper(context, 60), 4_194_304]);
  assert.deepEqual(late.counts, []);
  assert.equal(late.problem.kind, 'vanished');
  assert.match(late.problem.reason, /No such process/);
});

test("an error of perf is reported with perf's message", async (context) => {
  if (!hasPerf(context)) return;
  const tids = [sleeper(context, 60)];
  const filter = await run([{ event: EVENT, filter: 'nonsense == 1' }], tids);
  assert.equal(
    filter.problem.message,
    `perf: failed to set filter "nonsense == 1" on event ${EVENT} with 22 (Invalid argument)`,
  );
  const event = await run([{ event: 'kvm:kvm_nonsense', filter: undefined }], tids);
  assert.match(event.problem.message, /^perf: File \S+\/events\/kvm\/kvm_nonsense not found\.$/);
});

test('a terminated perf prints its counts since the last interval', async (context) => {
  if (!hasPerf(context)) return;
  const { counts } = await run(COUNTERS, [sleeper(context, 60)], async (perf) => {
    await sleep(INTERVAL_MS * 1.5);
    perf.end();
    perf.end();
  });
  assert.deepEqual(counts, [
    [0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0],
  ]);
});

const PIO: PerfEvent = { event: EVENT, filter: 'port == 0x80' };

test('perf gets the events with their filters, the C locale and nothing else of our environment', async (context) => {
  const folder = fakePerf(context, 'cd "$(dirname "$0")"; printf "%s\\n" "$@" > args; env > env');
  process.env['KT_SECRET'] = 'x';
  context.after(() => delete process.env['KT_SECRET']);
  await run([PIO, { event: 'kvm:kvm_exit', filter: undefined }], [7, 8]);
  const args = readFileSync(join(folder, 'args'), 'utf8').trim().split('\n');
  const counting = [`--interval-print=${INTERVAL_MS}`, '--log-fd=1'];
  const events = ['-e', EVENT, '--filter', 'port == 0x80', '-e', 'kvm:kvm_exit'];
  assert.deepEqual(args, ['stat', '--json-output', '--no-inherit', ...counting, ...events, '--tid=7,8']);
  const environment = readFileSync(join(folder, 'env'), 'utf8').split('\n');
  assert.ok(environment.includes('LC_ALL=C') && environment.includes('PERF_CONFIG=/dev/null'));
  assert.ok(!environment.some((line) => line.startsWith('KT_SECRET') || line.startsWith('HOME')));
});

test('a host without perf is reported as such', async (context) => {
  fakePerf(context, undefined);
  const { problem } = await run([PIO], [7], (perf) => perf.end());
  assert.deepEqual([problem.kind, problem.message], ['absent', 'perf: not installed']);
});

test("the reason of perf's end is extracted from its output", async (context) => {
  const fixtures = `${ROOT}test/fixtures/perf`;
  const prints = (file: string): string => `cat ${fixtures}/stderr-6.1-${file}.txt >&2; exit 129`;
  for (const [script, kind, reason] of [
    // No old perf is available, so this uses a new perf's message for an unknown option.
    [`sed "s/jsonx-output/json-output/" ${fixtures}/stderr-6.1-unknown-option.txt >&2`, 'absent', /^too old/],
    [`echo "  Error: unknown switch \\\`j'" >&2; exit 129`, 'absent', /^too old: it cannot print JSON/],
    // /usr/bin/perf of linux-tools-common of Ubuntu 22.04.
    [
      'echo "WARNING: perf not found for kernel 5.15.0-76\n\n  You may need to install" >&2; exit 2',
      'absent',
      /^perf not found for kernel 5\.15\.0-76$/,
    ],
    [prints('unknown-event'), 'failed', /^File \S+kvm_nope not found\.$/],
    [prints('filter'), 'failed', /^failed to set filter "prt == 1"/],
    [prints('dead-thread'), 'vanished', /\(No such process\)/],
    [prints('not-root'), 'denied', /^No permissions to read/],
    [prints('paranoid'), 'denied', /^Access to performance monitoring .* is limited\.$/],
    [
      'echo "Warning: odd" >&2; printf "\\033[31mterrible\\n\\n" >&2; exit 1',
      'failed',
      /^\\u\{1b\}\[31mterrible$/,
    ],
    ['exit 7', 'failed', /^ended without a message \(exit 7\)$/],
    ['kill -SEGV $$', 'failed', /^ended without a message \(SIGSEGV\)$/],
    ['exit 0', 'vanished', /^its threads have exited$/],
    ['echo "Error: first" >&2; yes | head -c 10000000 >&2', 'failed', /^first$/],
    ['yes | head -c 10000000 >&2; echo last >&2', 'failed', /^last$/],
  ] as const) {
    fakePerf(context, script);
    const { problem } = await run([PIO], [7]);
    assert.equal(problem.kind, kind, script);
    assert.equal(problem.path, 'perf');
    assert.match(problem.reason, reason, script);
  }
});

test('counts are parsed from mixed output and from an incomplete interval', async (context) => {
  const line = (at: number, event: string, count: string): string =>
    `{"interval" : ${at}.0, "counter-value" : "${count}", "event" : "${event}"}`;
  const lines = [
    line(1, 'a', '5'),
    'Warning: odd',
    line(1, 'b', '6'),
    line(2, 'a', '7'),
    '{"interval" : 2.0',
  ];
  fakePerf(context, lines.map((each) => `echo '${each}'; echo noise >&2`).join('\n'));
  const events = ['a', 'b'].map((event) => ({ event, filter: undefined }));
  const { counts } = await run(events, [7]);
  assert.deepEqual(counts, [
    [5, 6],
    [7, undefined],
  ]);
});

test('a perf that ignores SIGTERM is killed', async (context) => {
  const folder = fakePerf(
    context,
    'trap "" INT; echo $$ > "$(dirname "$0")/pid"; while :; do sleep 0.1; done',
  );
  const pidFile = join(folder, 'pid');
  const start = performance.now();
  const { problem } = await run([PIO], [7], async (perf) => {
    await until(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8').endsWith('\n'), 'perf runs');
    perf.end();
  });
  const took = performance.now() - start;
  assert.ok(took > 1900 && took < 5000, `${took} ms`);
  assert.match(problem.reason, /SIGKILL/);
  assert.throws(() => process.kill(Number(readFileSync(pidFile, 'utf8')), 0), { code: 'ESRCH' });
});
