import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Daemon, ROOT, startDaemon } from '../../testing/daemon.ts';
import { faketimeLibrary } from '../../testing/faketime.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { type Samples, sample, series } from '../../testing/metrics.ts';
import { has } from '../../testing/tools.ts';

const HOST = `--path.rootfs=${ROOT}test/fixtures/hosts/linux-nvme-vhost/t0`;
/** A task that hangs does so for an hour or for ever, so the timeout may be long. */
const PATIENCE_MS = 20_000;
/** A loop over the skipped seconds would take 9 s for each day. */
const ANSWER_MS = 5_000;

interface JumpingDaemon {
  readonly daemon: Daemon;
  /** Sets the daemon's wall clock, such as `+1d`: its monotonic clock goes on. */
  jump(offset: string): void;
  runs(task: 'sampler' | 'inventory'): Promise<number>;
}

async function start(context: TestContext, ...args: string[]): Promise<JumpingDaemon | undefined> {
  const library = faketimeLibrary();
  if (!has(context, library !== undefined, 'libfaketime is missing: apt-get install faketime')) return;
  const folder = temporaryFolder(context);
  const file = join(folder, 'offset');
  const jump = (offset: string): void => {
    writeFileSync(`${file}.new`, `${offset}\n`);
    renameSync(`${file}.new`, file);
  };
  jump('+0');
  const daemon = await startDaemon(context, [HOST, '--inventory.schedule=*/2 * * * * *', ...args], {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  });
  const runs = async (task: string): Promise<number> =>
    sample(await samplesOf({ daemon }), `kvm_telemetry_${task}_duration_seconds_count`);
  return { daemon, jump, runs };
}

const samplesOf = async ({ daemon }: Pick<JumpingDaemon, 'daemon'>): Promise<Samples> =>
  await daemon.samples();

/** Waits until both tasks have run this many more times. */
async function tasksRun({ runs }: JumpingDaemon, times: number): Promise<void> {
  for (const task of ['sampler', 'inventory'] as const) {
    const goal = (await runs(task)) + times;
    const end = performance.now() + PATIENCE_MS;
    while ((await runs(task)) < goal) {
      if (performance.now() > end) assert.fail(`the ${task} is stalled`);
      await sleep(100);
    }
  }
}

async function answers({ daemon }: JumpingDaemon): Promise<void> {
  const answer = await fetch(`${daemon.url}/-/healthy`, { signal: AbortSignal.timeout(ANSWER_MS) });
  assert.equal(answer.status, 200);
}

async function endsAtOnce({ daemon }: JumpingDaemon): Promise<void> {
  const begin = performance.now();
  assert.equal(await daemon.stop(), 0);
  assert.ok(performance.now() - begin < ANSWER_MS, 'SIGTERM was not heeded');
}

describe('the wall clock', { concurrency: 2 }, () => {
  for (const offset of ['-1h', '+1d', '+30d']) {
    test(`jumps by ${offset}: tasks and scrapes continue, and SIGTERM ends the daemon`, async (context) => {
      const jumping = await start(context);
      if (jumping === undefined) return;
      await tasksRun(jumping, 2);
      jumping.jump(offset);
      // The timers from before the jump expire.
      await sleep(2500);
      await answers(jumping);
      await tasksRun(jumping, 2);
      for (const task of ['inventory', 'sampler', 'trace']) {
        const age = sample(await samplesOf(jumping), 'kvm_telemetry_task_last_run_age_seconds', { task });
        assert.ok(age >= 0 && age < PATIENCE_MS / 1000, `the ${task} ran ${age} s ago`);
      }
      await endsAtOnce(jumping);
    });
  }

  test('jumps back and forth each second: tasks continue', async (context) => {
    const jumping = await start(context);
    if (jumping === undefined) return;
    const offsets = ['+1d', '-1h', '+30d', '-30d', '+0'];
    let turn = 0;
    const timer = setInterval(() => jumping.jump(offsets[turn++ % offsets.length] ?? '+0'), 1000);
    context.after(() => clearInterval(timer));
    await tasksRun(jumping, 5);
    await answers(jumping);
    await endsAtOnce(jumping);
  });
});

const SECONDS_STOPPED = 6;

test('a daemon that was stopped for some seconds continues and does not add them to any residency', async (context) => {
  const daemon = await startDaemon(context, [HOST]);
  const credited = async (): Promise<number> => {
    const samples = await samplesOf({ daemon });
    const residencies = series(samples, 'kvm_thread_cpu_residency_seconds_total');
    return Math.max(0, ...residencies.map((key) => samples.get(key) ?? 0));
  };
  const until = async (seconds: number): Promise<number> => {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const now = await credited();
      if (now >= seconds) return now;
      if (performance.now() > end) assert.fail(`only ${now} s were credited`);
      await sleep(100);
    }
  };
  const before = await until(1);
  const begin = performance.now();
  process.kill(daemon.pid, 'SIGSTOP');
  await sleep(SECONDS_STOPPED * 1000);
  process.kill(daemon.pid, 'SIGCONT');
  const after = await until(before + 1);
  const elapsed = (performance.now() - begin) / 1000;
  assert.ok(after - before <= elapsed - SECONDS_STOPPED + 1, `${after - before} s credited in ${elapsed} s`);
  assert.equal(await daemon.stop(), 0);
});
