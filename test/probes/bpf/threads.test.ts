import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BpfIterator } from '../../../probes/bpf/iterator.ts';
import { openLibbpf } from '../../../probes/bpf/libbpf.ts';
import { MaskTexts } from '../../../probes/bpf/mask-texts.ts';
import { parseThreadRows, type RowTask } from '../../../probes/bpf/thread-rows.ts';
import { readTaskMigrations } from '../../../probes/proc-task-sched.ts';
import { readTaskSchedstat } from '../../../probes/proc-task-schedstat.ts';
import { readTaskStat } from '../../../probes/proc-task-stat.ts';
import { readTaskStatus } from '../../../probes/proc-task-status.ts';
import { readPossibleCpus } from '../../../probes/sys-cpu.ts';
import type { TaskTimes } from '../../../probes/task.ts';
import { liveHost } from '../../../testing/captured.ts';
import { ROOT } from '../../../testing/daemon.ts';
import { has, hasTool } from '../../../testing/tools.ts';

const HOST = liveHost();

interface Threads {
  read(...pids: number[]): RowTask[];
}

/** The threads of this machine; undefined if BPF cannot be used here. */
function threadsOfThisMachine(context: TestContext): Threads | undefined {
  try {
    const iterator = BpfIterator.load(openLibbpf(), 'threads');
    context.after(() => iterator.close());
    const processes = iterator.processSet('processes');
    const cpus = readPossibleCpus(HOST);
    const masks = new MaskTexts(cpus);
    return {
      read(...pids) {
        processes.replace(new Set(pids), Math.ceil(cpus / 64));
        return parseThreadRows(Buffer.from(iterator.read()), 'kernel', masks);
      },
    };
  } catch (error) {
    has(context, false, `BPF cannot be used here: ${String(error)}`);
    return undefined;
  }
}

function compiled(context: TestContext, source: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'kt-threads-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, 'program');
  execFileSync('gcc', ['-O1', '-pthread', '-o', program, `${ROOT}testing/${source}`]);
  return program;
}

async function started(context: TestContext, program: string, ...args: string[]): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  return child;
}

/** Counters of all threads of a process, from /proc. */
function fromProc(pid: number): Map<number, Record<string, number>> {
  return new Map(
    readdirSync(`/proc/${pid}/task`).map((tid) => {
      const path = `/proc/${pid}/task/${tid}`;
      const { utime, stime, guestTime } = readTaskStat(HOST, path);
      const { voluntarySwitches, involuntarySwitches } = readTaskStatus(HOST, path);
      const { run, wait, timeslices } = readTaskSchedstat(HOST, path);
      const migrations = readTaskMigrations(HOST, path);
      const switches = { voluntarySwitches, involuntarySwitches };
      return [Number(tid), { utime, stime, guestTime, run, wait, timeslices, ...switches, migrations }];
    }),
  );
}

/**
 * The kernel divides the run time by the proportion of user and system ticks, and keeps the result for the next reader of
 * /proc. BPF reads without keeping a result. So a tick after BPF's reading may move up to that tick's share from one mode to
 * the other: only the lower limits and the sum are certain. Each time is rounded down, so a sum may lack one tick.
 */
function assertCpuTimes(
  of: string,
  before: Record<string, number>,
  times: TaskTimes,
  after: Record<string, number>,
): void {
  const text = JSON.stringify({ before, times, after });
  assert.ok(Number(before['utime']) <= times.utime, `${of} utime: ${text}`);
  assert.ok(Number(before['stime']) <= times.stime, `${of} stime: ${text}`);
  assert.ok(
    times.utime + times.stime <= Number(after['utime']) + Number(after['stime']) + 1,
    `${of} sum: ${text}`,
  );
}

test('the counters of threads lie between two readings of /proc', async (context) => {
  if (!hasTool(context, 'gcc', 'gcc')) return;
  const kernel = threadsOfThisMachine(context);
  const { pid = 0 } = await started(context, compiled(context, 'busy-threads.c'));
  if (kernel === undefined) return;
  let compared = 0;
  for (let round = 0; round < 20; round++) {
    await sleep(50);
    const before = fromProc(pid);
    const rows: readonly RowTask[] = kernel.read(pid);
    const after = fromProc(pid);
    assert.deepEqual(
      rows.map(({ tid }) => tid),
      [...before.keys()],
      'all threads, and no other',
    );
    for (const task of rows) {
      const { cpusAllowedList: _, ...switches } = task.status();
      const times = task.cpuTimes();
      assert.ok(times !== undefined, 'this machine has ticks on each CPU');
      assertCpuTimes(task.comm, before.get(task.tid) ?? {}, times, after.get(task.tid) ?? {});
      const seen: Record<string, number> = {
        guestTime: times.guestTime,
        ...task.schedstat(),
        ...switches,
        migrations: task.migrations(),
      };
      for (const [name, value] of Object.entries(seen)) {
        const [least = 0, most = 0] = [before.get(task.tid)?.[name], after.get(task.tid)?.[name]];
        assert.ok(least <= value && value <= most, `${task.comm} ${name}: ${least} ${value} ${most}`);
        compared++;
      }
    }
  }
  assert.equal(compared, 20 * 6 * 7);
});

test('identity, mask, policy and priority of threads equal those in /proc', async (context) => {
  if (!hasTool(context, 'gcc', 'gcc')) return;
  const kernel = threadsOfThisMachine(context);
  const { pid = 0 } = await started(context, compiled(context, 'busy-threads.c'));
  if (kernel === undefined) return;
  const rows = kernel.read(pid);
  for (const task of rows) {
    const path = `/proc/${pid}/task/${task.tid}`;
    const text = readFileSync(`${path}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const { comm, startTime } = readTaskStat(HOST, path);
    assert.deepEqual({ comm: task.comm, startTime: task.startTime }, { comm, startTime });
    assert.equal(task.status().cpusAllowedList, readTaskStatus(HOST, path).cpusAllowedList);
    // Fields 18 and 41.
    assert.equal(task.priority, 100 + Number(fields[18 - 3]));
    assert.equal(task.policy, Number(fields[41 - 3]));
    assert.ok(task.processor < readPossibleCpus(HOST));
  }
  assert.deepEqual([...new Set(rows.map(({ policy }) => policy))], [0, 3], 'SCHED_OTHER and SCHED_BATCH');
  assert.equal(rows.filter((task) => task.status().cpusAllowedList === '0').length, 2);
});

test('a process that is no longer asked for has no rows, and a thread that has ended has none', async (context) => {
  const kernel = threadsOfThisMachine(context);
  if (kernel === undefined) return;
  const child = await started(context, 'sh', '-c', 'echo up; exec sleep 1000');
  const pid = child.pid ?? 0;
  assert.deepEqual(kernel.read(pid, process.pid).filter((task) => task.pid === pid).length, 1);
  assert.deepEqual(
    kernel.read(process.pid).filter((task) => task.pid !== process.pid),
    [],
  );
  assert.deepEqual(kernel.read(), []);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
  assert.deepEqual(kernel.read(pid), []);
});

test('a kernel thread is a process of its own', (context) => {
  const kernel = threadsOfThisMachine(context);
  if (kernel === undefined) return;
  // kthreadd, as a vhost worker before Linux 6.4.
  assert.deepEqual(
    kernel.read(2).map(({ pid, tid, comm }) => ({ pid, tid, comm })),
    [{ pid: 2, tid: 2, comm: 'kthreadd' }],
  );
});

test('5,000 threads take many reads of 32 KiB and none is lost', async (context) => {
  if (!hasTool(context, 'gcc', 'gcc')) return;
  const kernel = threadsOfThisMachine(context);
  const { pid = 0 } = await started(context, compiled(context, 'many-threads.c'), '5000');
  if (kernel === undefined) return;
  const tids: readonly number[] = readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .sort((a, b) => a - b);
  assert.equal(tids.length, 5001);
  assert.deepEqual(
    kernel.read(pid).map(({ tid }) => tid),
    tids,
  );
});

test('while threads come and go each row is one thread once', async (context) => {
  if (!hasTool(context, 'gcc', 'gcc')) return;
  const kernel = threadsOfThisMachine(context);
  const { pid = 0 } = await started(context, compiled(context, 'many-threads.c'), '200', 'births');
  if (kernel === undefined) return;
  for (let round = 0; round < 50; round++) {
    const tids: readonly number[] = kernel.read(pid).map(({ tid }) => tid);
    assert.equal(new Set(tids).size, tids.length);
    assert.ok(tids.length > 200, 'those that stay');
  }
});
