import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Daemon, ROOT, startDaemon } from '../../testing/daemon.ts';
import { untilExpected } from '../../testing/expected-affinity.ts';
import { parseSamples, sample, series } from '../../testing/metrics.ts';
import { until } from '../../testing/patience.ts';
import { canRunGuests, runGuest, threadId } from '../../testing/qemu.ts';
import { has, hasTool } from '../../testing/tools.ts';

const NAME = 'kt-affinity';
/** Two samples are due after two seconds; the rest is for a busy machine. */
const WITHIN_MS = 10_000;
/** Until changed masks of a new VM no longer count as initial ones. */
const SETTLED_MS = 6000;

function taskset(tid: string, list: string): void {
  execFileSync('taskset', ['-pc', list, tid], { stdio: 'ignore' });
}

/** Kinds of drift by thread. */
async function drifts(daemon: Daemon): Promise<Record<string, string[]>> {
  const samples = parseSamples(await daemon.metrics());
  const found: Record<string, string[]> = {};
  for (const each of series(samples, 'kvm_thread_affinity_drift', { vm: NAME })) {
    if (samples.get(each) !== 1) continue;
    const [, thread = '', kind = ''] = /thread="([^"]*)",kind="([^"]*)"/.exec(each) ?? [];
    found[thread] = [...(found[thread] ?? []), kind].sort();
  }
  return found;
}

async function becomes(daemon: Daemon, expected: Record<string, string[]>): Promise<void> {
  const deadline = performance.now() + WITHIN_MS;
  let last = await drifts(daemon);
  while (JSON.stringify(last) !== JSON.stringify(expected) && performance.now() < deadline) {
    await sleep(100);
    last = await drifts(daemon);
  }
  assert.deepEqual(last, expected);
}

/** Waits until affinity is in that state. */
async function affinityIs(daemon: Daemon, state: string): Promise<void> {
  const labels = { vm: NAME, technique: 'affinity', state };
  await until(async () => {
    await sleep(200);
    const samples = parseSamples(await daemon.metrics());
    return series(samples, 'kvm_vm_technique_state', labels).some((each) => samples.get(each) === 1);
  }, `affinity is ${state}`);
}

function canRun(context: TestContext): boolean {
  return (
    canRunGuests(context) &&
    hasTool(context, 'taskset', 'util-linux') &&
    has(context, cpus().length >= 2, 'one CPU leaves nothing to pin')
  );
}

test('/metrics and the log follow each change of pins', async (context) => {
  if (!canRun(context)) return;
  const guest = runGuest(context, { name: NAME, vcpus: 1 });
  const vcpu = threadId(guest.pid, 'CPU 0/KVM');
  const io = threadId(guest.pid, 'IO io0');
  const daemon = await startDaemon(context);
  await sleep(SETTLED_MS);
  await becomes(daemon, {});

  taskset(vcpu, '0');
  taskset(io, '1');
  await untilExpected(daemon, NAME, { vcpu0: '0', 'iothread:io0': '1' });
  await becomes(daemon, {});
  const features = async (feature: string): Promise<number> =>
    sample(parseSamples(await daemon.metrics()), 'kvm_vm_feature', { vm: NAME, feature });

  taskset(vcpu, '0-1');
  const wide = cpus().length === 2 ? 'unpinned' : 'mask_widened';
  await becomes(daemon, { vcpu0: [wide] });
  const begun = daemon.log.find(({ kind, thread }) => kind === wide && thread === 'vcpu0');
  assert.equal(begun?.['fix'], `taskset -pc 0 ${vcpu}`);
  taskset(vcpu, '0');
  await becomes(daemon, {});
  assert.ok(daemon.log.some(({ msg }) => String(msg).includes('vcpu0 has ended')));

  taskset(io, '0');
  await becomes(daemon, { 'iothread:io0': ['mask_changed', 'shared_cpu'], vcpu0: ['shared_cpu'] });
  const samples = parseSamples(await daemon.metrics());
  assert.equal(sample(samples, 'kvm_vm_affinity_drift_threads', { vm: NAME }), 2);

  const doctor = spawnSync(
    process.execPath,
    [`${ROOT}dist/exporter/main.js`, 'doctor', '--vm', NAME, '--state.dir=/nonexistent'],
    { encoding: 'utf8' },
  );
  // Without the baseline only a shared CPU is a drift.
  assert.equal(doctor.status, 1, doctor.stdout + doctor.stderr);
  assert.match(doctor.stdout, /expected affinity unknown \(.*vcpu0/);
  assert.doesNotMatch(doctor.stdout, /\(baseline\)/);
  assert.match(doctor.stdout, new RegExp(`vcpu0 +${vcpu} +0 `));
  assert.match(doctor.stdout, /shared_cpu: shares CPU 0 with vcpu0/);
  taskset(io, '1');
  await becomes(daemon, {});

  // Features are read every ten seconds: the last reading may be from before the move.
  for (let i = 0; i < 30 && (await features('io_separate_from_vcpus')) !== 1; i++) await sleep(1000);
  assert.equal(await features('io_separate_from_vcpus'), 1);
  assert.equal(await features('vcpus_pinned'), 1);
  assert.equal(await features('vhost'), 0);
});

interface Report {
  readonly drifts: readonly { readonly thread: string; readonly kind: string; readonly fix?: string }[];
  readonly plan: {
    readonly steps: readonly { readonly command: string }[];
    readonly undo: readonly string[];
  };
}

test("the commands of doctor's plan repair a VM, the undo reverts them, and accept ends the drift", async (context) => {
  if (!canRun(context)) return;
  const guest = runGuest(context, { name: NAME, vcpus: 1 });
  const vcpu = threadId(guest.pid, 'CPU 0/KVM');
  const io = threadId(guest.pid, 'IO io0');
  const daemon = await startDaemon(context);
  const stateDir = String(daemon.environment['KVM_TELEMETRY_STATE_DIR']);
  const cli = (...args: string[]) =>
    spawnSync(process.execPath, [`${ROOT}dist/exporter/main.js`, ...args, '--state.dir', stateDir], {
      encoding: 'utf8',
    });
  const doctor = (): Report => JSON.parse(cli('doctor', '--vm', NAME, '--json').stdout) as Report;
  const runAll = (commands: readonly string[]): void => {
    for (const command of commands) {
      const [program = '', ...args] = command.split(' ');
      if (program === 'kvm-telemetry') assert.equal(cli(...args).status, 0, command);
      else execFileSync(program, args, { stdio: 'ignore' });
    }
  };
  const masks = (): string[] =>
    [vcpu, io].map((tid) => execFileSync('taskset', ['-pc', tid], { encoding: 'utf8' }));
  await sleep(SETTLED_MS);
  taskset(vcpu, '0');
  taskset(io, '1');
  await untilExpected(daemon, NAME, { vcpu0: '0', 'iothread:io0': '1' });
  await becomes(daemon, {});
  await affinityIs(daemon, 'in_force');

  taskset(vcpu, '1');
  taskset(io, '0-1');
  const wide = cpus().length === 2 ? 'unpinned' : 'mask_widened';
  const drifted = { 'iothread:io0': [wide], vcpu0: ['mask_changed'] };
  await becomes(daemon, drifted);
  const before = masks();
  const { plan, drifts: found } = doctor();
  assert.deepEqual(
    plan.steps.map(({ command }) => command).sort(),
    [`taskset -pc 0 ${vcpu}`, `taskset -pc 1 ${io}`].sort(),
  );
  for (const { fix } of found)
    assert.ok(
      plan.steps.some(({ command }) => command === fix),
      fix,
    );
  runAll(plan.steps.map(({ command }) => command));
  await becomes(daemon, {});
  assert.deepEqual(doctor().drifts, []);

  runAll(plan.undo);
  assert.deepEqual(masks(), before);
  await becomes(daemon, drifted);
  await affinityIs(daemon, 'lost');
  const accepted = cli('accept', NAME);
  assert.match(accepted.stdout, /^expected affinity of kt-affinity: .*vcpu0 1/);
  assert.match(accepted.stdout, /^no longer expected: affinity$/m);
  await becomes(daemon, {});
  await affinityIs(daemon, 'partly');
});

test('a declared phase outlives a restart, and a restarted VM gets a new baseline', async (context) => {
  if (!canRun(context)) return;
  const guest = runGuest(context, { name: NAME, vcpus: 1 });
  const first = await startDaemon(context);
  const stateDir = String(first.environment['KVM_TELEMETRY_STATE_DIR']);
  const phase = (...args: string[]): number | null =>
    spawnSync(process.execPath, [`${ROOT}dist/exporter/main.js`, 'phase', ...args, '--state.dir', stateDir])
      .status;
  assert.equal(phase('set', NAME, 'exitless-polling v2'), 0);
  const told = async (daemon: Daemon): Promise<boolean> => {
    const samples = parseSamples(await daemon.metrics());
    const labels = { vm: NAME, stage: 'exitless_polling', source: 'declared' };
    return (
      series(samples, 'kvm_vm_phase_info', { vm: NAME, phase: 'exitless-polling v2' }).length === 1 &&
      series(samples, 'kvm_vm_stage_info', labels).length === 1
    );
  };
  for (let i = 0; i < 30 && !(await told(first)); i++) await sleep(500);
  assert.ok(await told(first));
  await sleep(SETTLED_MS);
  const vcpu = threadId(guest.pid, 'CPU 0/KVM');
  taskset(vcpu, '1');
  await untilExpected(first, NAME, { vcpu0: '1' });
  assert.equal(await first.stop(), 0);

  // The mask is widened while no daemon runs. The daemon must use the earlier baseline.
  taskset(vcpu, '0-1');
  const second = await startDaemon(context, [], { KVM_TELEMETRY_STATE_DIR: stateDir });
  assert.ok(await told(second));
  await becomes(second, { vcpu0: [cpus().length === 2 ? 'unpinned' : 'mask_widened'] });
  guest.stop();
  runGuest(context, { name: NAME, vcpus: 1 });
  await sleep(2500);
  await becomes(second, {});
  assert.equal(phase('clear', NAME), 0);
  assert.equal(phase('clear', NAME), 2);
});
