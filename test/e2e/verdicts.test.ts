import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { append } from '../../kernel/maps.ts';
import { type BlkGuest, blkGuest } from '../../testing/blk-guest.ts';
import { type Daemon, startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { qmpCommand } from '../../testing/guest-with-monitor.ts';
import { type Samples, sample, series } from '../../testing/metrics.ts';
import { canRunGuests } from '../../testing/qemu.ts';
import { has, hasTool } from '../../testing/tools.ts';

const TECHNIQUES = ['affinity', 'exitless_polling', 'parallel_batching', 'pinned_queues'] as const;
const PATIENCE_MS = 120_000;
const JUDGED_EVERY_MS = 2000;
const JUDGEMENTS = 5;
/** Time for several judgements. */
const IDLE_MS = 8000;
/** A second: the load of the other guests does not send the poller to sleep. */
const POLLS = 1_000_000_000;

interface Situation {
  readonly iosPerKick: number;
  readonly pollMaxNs: number;
  readonly honoursNoNotify: boolean;
  /** States of polling and batching. Nothing is pinned, and there is one queue. */
  readonly is: readonly [polling: string, batching: string];
}

const kicking = { pollMaxNs: 0, honoursNoNotify: false } as const;
const polled = { pollMaxNs: POLLS, honoursNoNotify: true, is: ['in_force', 'off'] } as const;

const SITUATIONS: Readonly<Record<string, Situation>> = {
  'kt-kick-1': { ...kicking, iosPerKick: 1, is: ['off', 'off'] },
  'kt-kick-4': { ...kicking, iosPerKick: 4, is: ['off', 'in_force'] },
  'kt-kick-16': { ...kicking, iosPerKick: 16, is: ['off', 'in_force'] },
  // With one I/O in flight the kicks would depend on the scheduling of the poller.
  'kt-poll-4': { ...polled, iosPerKick: 4 },
  'kt-poll-46': { ...polled, iosPerKick: 16 },
};

function statesOf(samples: Samples, vm: string): (string | undefined)[] {
  return TECHNIQUES.map((technique) =>
    series(samples, 'kvm_vm_technique_state', { vm, technique })
      .filter((each) => samples.get(each) === 1)
      .map((each) => /state="(\w+)"/.exec(each)?.[1])
      .join(),
  );
}

/** Waits for a line of the log, so that nothing is scraped. @returns whether it came */
async function logged(daemon: Daemon, text: RegExp): Promise<boolean> {
  const isThere = (): boolean => daemon.log.some(({ msg }) => text.test(String(msg)));
  for (const end = Date.now() + PATIENCE_MS; !isThere() && Date.now() < end; ) await sleep(200);
  return isThere();
}

/** Two vCPUs and two queues: each vCPU its own, or both queues in turns. Nothing polls. */
const QUEUES = { 'kt-queues-own': 'own', 'kt-queues-turns': 'in turns' } as const;

test('verdicts on real guests with 1, 4 and 16 I/Os a kick, polled and not, and with two queues', async (context) => {
  if (!canRunGuests(context) || !hasTool(context, 'as', 'binutils')) return;
  if (!hasTool(context, 'taskset', 'util-linux')) return;
  if (!has(context, availableParallelism() > 1, 'a host with one CPU has no pins')) return;
  const sockets = temporaryFolder(context);
  const guests = new Map<string, BlkGuest>();
  for (const [name, situation] of Object.entries(SITUATIONS))
    guests.set(name, blkGuest(context as TestContext, { name, sockets, ...situation }));
  for (const [name, queues] of Object.entries(QUEUES)) {
    const program = { ...kicking, iosPerKick: 4, batchesPerTick: 4, queues };
    guests.set(name, blkGuest(context as TestContext, { name, sockets, ...program }));
  }
  const monitors = [`--qmp.sockets=${sockets}/*.sock`, `--qmp.directories=${sockets}`];
  const flags = ['--inventory.schedule=*/2 * * * * *', '--log.level=debug', ...monitors];
  const daemon = await startDaemon(context, [...flags, '--bpf=off']);
  const backend = series(await daemon.samples(), 'kvm_telemetry_trace_backend_info');
  if (!has(context, backend.length > 0, 'trace events cannot be counted here')) return;

  await context.test('judged while nobody scrapes', async () => {
    for (const [name, { is }] of Object.entries(SITUATIONS)) {
      for (const [i, word] of ['polling', 'batching'].entries())
        assert.ok(
          await logged(daemon, new RegExp(`^${word} of ${name}: unknown -> ${is[i]}`)),
          `${word} of ${name}`,
        );
    }
    const samples = await daemon.samples();
    for (const [name, { is }] of Object.entries(SITUATIONS))
      assert.deepEqual(statesOf(samples, name), ['off', ...is, 'off'], name);
  });

  await context.test('the number of I/Os a kick', async () => {
    // A busy host may read the I/Os of one judgement later than its kicks.
    const measured = new Map<string, number[]>();
    for (let i = 0; i < JUDGEMENTS; i++) {
      const samples = await daemon.samples();
      for (const [name, { pollMaxNs }] of Object.entries(SITUATIONS)) {
        const evidence = { vm: name, technique: 'parallel_batching', evidence: 'ios_per_kick' };
        if (pollMaxNs === 0)
          append(measured, name, sample(samples, 'kvm_vm_technique_evidence_ratio', evidence));
      }
      await sleep(JUDGED_EVERY_MS);
    }
    for (const [name, values] of measured) {
      const median = values.toSorted((a, b) => a - b)[(values.length - 1) / 2] ?? 0;
      const { iosPerKick = 0 } = SITUATIONS[name] ?? {};
      assert.ok(Math.abs(median / iosPerKick - 1) < 0.1, `${values} I/Os a kick of ${name}`);
    }
  });

  await context.test('pinned, not pinned, and poll-max-ns 0', async () => {
    const [kicks, polls] = [guests.get('kt-kick-4'), guests.get('kt-poll-4')];
    assert.ok(kicks !== undefined && polls !== undefined);
    const off = { path: '/objects/io0', property: 'poll-max-ns', value: 0 };
    await qmpCommand(polls.monitor, { execute: 'qom-set', arguments: off });
    kicks.pin(0, 1);
    assert.ok(await logged(daemon, /^affinity of kt-kick-4: off -> in_force/));
    kicks.unpin();
    assert.ok(await logged(daemon, /^affinity of kt-kick-4: in_force -> lost: 0% of/));
    assert.ok(await logged(daemon, /^polling of kt-poll-4: in_force -> lost/));
    assert.ok(await logged(daemon, /^batching of kt-poll-4: off -> in_force/));
    const samples = await daemon.samples();
    assert.deepEqual(statesOf(samples, 'kt-kick-4'), ['lost', 'off', 'in_force', 'off']);
    assert.deepEqual(statesOf(samples, 'kt-poll-4'), ['off', 'lost', 'in_force', 'off']);
  });

  await context.test('idle: no state changes', async () => {
    const before = await daemon.samples();
    for (const { monitor } of guests.values()) await qmpCommand(monitor, { execute: 'stop' });
    await sleep(IDLE_MS);
    const after = await daemon.samples();
    for (const name of guests.keys()) assert.deepEqual(statesOf(after, name), statesOf(before, name), name);
  });

  await context.test('a queue for each vCPU, both in turns, and all on the first', async (each) => {
    // perf does not count kicks by queue, and without a fast MMIO path no kicks of a modern disk.
    const ofPerf = { vm: 'kt-queues-own', technique: 'parallel_batching', evidence: 'ios_per_kick' };
    const counted = await daemon.samples();
    for (const key of series(counted, 'kvm_vm_technique_evidence_ratio', ofPerf))
      assert.ok((counted.get(key) ?? 0) < 8, key);
    // A monitor has one client.
    await daemon.stop();
    for (const name of Object.keys(QUEUES))
      await qmpCommand(guests.get(name)?.monitor ?? '', { execute: 'cont' });
    const byBpf = await startDaemon(each, flags);
    const backend = series(await byBpf.samples(), 'kvm_telemetry_trace_backend_info', { backend: 'bpf' });
    if (!has(each, backend.length > 0, 'BPF is needed for kicks by queue')) return;
    const own = guests.get('kt-queues-own');
    assert.ok(await logged(byBpf, /^queue pinning of kt-queues-own: unknown -> in_force: 100% of/));
    assert.ok(await logged(byBpf, /^queue pinning of kt-queues-turns: unknown -> off: [45]\d% of/));
    await own?.changeQueues();
    assert.ok(
      await logged(byBpf, /^queue pinning of kt-queues-own: in_force -> lost: [4-7]\d% of .* was 100%$/),
    );
    const samples = await byBpf.samples();
    assert.deepEqual(statesOf(samples, 'kt-queues-own'), ['off', 'off', 'in_force', 'lost']);
    assert.deepEqual(statesOf(samples, 'kt-queues-turns'), ['off', 'off', 'in_force', 'off']);
    await own?.changeQueues();
    assert.ok(await logged(byBpf, /^queue pinning of kt-queues-own: lost -> in_force/));
    await byBpf.stop();
  });
});
