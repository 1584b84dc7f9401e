import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { blkGuest } from '../../testing/blk-guest.ts';
import { type Daemon, startDaemon } from '../../testing/daemon.ts';
import { qmpCommand } from '../../testing/guest-with-monitor.ts';
import { parseSamples, type Samples, sample, series } from '../../testing/metrics.ts';
import { hasKvm } from '../../testing/qemu.ts';
import { has, hasTool } from '../../testing/tools.ts';

/** Judgements every two seconds, and perf reports every five. */
const FAST = ['--inventory.schedule=*/2 * * * * *', '--bpf=off'];
const PATIENCE_MS = 120_000;

function canRun(context: TestContext): boolean {
  return (
    hasTool(context, 'qemu-system-x86_64', 'qemu-system-x86') &&
    hasTool(context, 'as', 'binutils') &&
    hasTool(context, 'taskset', 'util-linux') &&
    has(context, hasKvm(), '/dev/kvm is missing: load kvm_intel or kvm_amd') &&
    has(context, availableParallelism() > 1, 'a host with one CPU has no pins')
  );
}

async function scrape(daemon: Daemon): Promise<Samples> {
  return parseSamples(await daemon.metrics());
}

/** `affinity off`, ... */
function statesOf(samples: Samples, vm: string): string[] {
  return series(samples, 'kvm_vm_technique_state', { vm })
    .filter((each) => samples.get(each) === 1)
    .map((each) => /technique="(\w+)",state="(\w+)"/.exec(each)?.slice(1).join(' ') ?? '');
}

async function until(daemon: Daemon, isSo: (samples: Samples) => boolean): Promise<Samples> {
  const deadline = Date.now() + PATIENCE_MS;
  let samples = await scrape(daemon);
  while (!isSo(samples) && Date.now() < deadline) {
    await sleep(1000);
    samples = await scrape(daemon);
  }
  return samples;
}

const TRUTH: Readonly<Record<number, readonly string[]>> = {
  1: ['affinity off', 'exitless_polling off', 'parallel_batching off', 'pinned_queues off'],
  4: ['affinity off', 'exitless_polling off', 'parallel_batching in_force', 'pinned_queues off'],
  16: ['affinity off', 'exitless_polling off', 'parallel_batching in_force', 'pinned_queues off'],
};

test('verdicts on real guests with 1, 4 and 16 I/Os a kick', { timeout: 600_000 }, async (context) => {
  if (!canRun(context)) return;
  for (const [iosPerKick, truth] of Object.entries(TRUTH)) {
    await context.test(`${iosPerKick} a kick: judged unscraped, pinned, unpinned, idle`, async (nested) => {
      const name = `kt-blk-${iosPerKick}`;
      const guest = blkGuest(nested as TestContext, name, Number(iosPerKick));
      const daemon = await startDaemon(nested as TestContext, FAST);
      // Nobody scrapes while it measures.
      await sleep(25_000);
      const first = await until(daemon, (samples) => statesOf(samples, name).join() === truth.join());
      const traced = series(first, 'kvm_telemetry_trace_backend_info').length > 0;
      if (!has(nested as TestContext, traced, 'trace events cannot be counted here')) return;
      assert.deepEqual(statesOf(first, name), truth);
      const evidence = { vm: name, technique: 'parallel_batching', evidence: 'ios_per_kick' };
      const measured = sample(first, 'kvm_vm_technique_evidence_ratio', evidence);
      assert.ok(Math.abs(measured / Number(iosPerKick) - 1) < 0.1, `${measured} I/Os a kick`);

      const others = truth.slice(1);
      guest.pin(0, 1);
      const pinned = await until(daemon, (samples) => statesOf(samples, name)[0] === 'affinity in_force');
      assert.deepEqual(statesOf(pinned, name), ['affinity in_force', ...others]);
      guest.unpin();
      const lost = await until(daemon, (samples) => statesOf(samples, name)[0] === 'affinity lost');
      assert.deepEqual(statesOf(lost, name), ['affinity lost', ...others]);
      assert.ok(daemon.log.some(({ msg }) => /^affinity of .*: in_force -> lost: 0% of/.test(String(msg))));

      await qmpCommand(guest.monitor, { execute: 'stop' });
      await sleep(20_000);
      assert.deepEqual(statesOf(await scrape(daemon), name), ['affinity lost', ...others], 'idle');
      await daemon.stop();
      guest.stop();
    });
  }
});
