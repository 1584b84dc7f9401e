import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { canLimit, cgroupOf } from '../../testing/cpu-cgroup.ts';
import { type Daemon, ROOT, startDaemon } from '../../testing/daemon.ts';
import { type Samples, sample, series } from '../../testing/metrics.ts';
import { until } from '../../testing/patience.ts';
import { runGuest } from '../../testing/qemu.ts';

const throttled = (samples: Samples, vm: string): number =>
  sample(samples, 'kvm_vm_throttled_seconds_total', { vm, group: 'vm' });
const waited = (samples: Samples, vm: string): number =>
  sample(samples, 'kvm_thread_wait_seconds_total', { vm, thread: 'vcpu0' });

/** Seconds that the VM was throttled and that its vCPU waited, over some seconds. */
async function grown(daemon: Daemon, vm: string): Promise<{ throttled: number; waited: number }> {
  const before = await daemon.samples();
  await sleep(4000);
  const after = await daemon.samples();
  return {
    throttled: throttled(after, vm) - throttled(before, vm),
    waited: waited(after, vm) - waited(before, vm),
  };
}

test("a VM with a quota of 20% is throttled, as its cgroup's cpu.stat says", async (context) => {
  if (!canLimit(context)) return;
  const name = 'kt-quota';
  const guest = runGuest(context, { name, vcpus: 1 });
  const cgroup = cgroupOf(context, guest, name);
  cgroup.limit(20_000);
  const daemon = await startDaemon(context, ['--trace.backend=off']);
  const { throttled: stopped, waited: delay } = await grown(daemon, name);
  assert.ok(stopped > 0, 'throttled');
  // KvmVcpuStarved relies on it: the scheduler counts the throttled time as wait.
  assert.ok(delay > 0.8 * stopped, `${delay} s of wait, ${stopped} s throttled`);

  const before = cgroup.throttled();
  const samples = await daemon.samples();
  const after = cgroup.throttled();
  const seen = throttled(samples, name);
  assert.ok(before <= seen && seen <= after, `${before} <= ${seen} <= ${after}`);
  const group = { vm: name, group: 'vm' };
  assert.equal(sample(samples, 'kvm_vm_quota_seconds', group), 0.02);
  assert.equal(sample(samples, 'kvm_vm_quota_period_seconds', group), 0.1);
  assert.ok(sample(samples, 'kvm_vm_throttled_periods_total', group) > 0);
  const doctor = spawnSync(process.execPath, [`${ROOT}dist/exporter/main.js`, 'doctor', '--vm', name], {
    encoding: 'utf8',
  });
  assert.match(
    doctor.stdout,
    /^quota {5}vm: 20 ms each 100 ms \(0\.2 CPUs\), used up in \d+ of \d+ periods/m,
  );
  guest.stop();

  // The quota of the daemon itself. doctor runs outside of the quota and reports it.
  const own = cgroupOf(context, daemon, 'kt-quota-daemon');
  own.limit(1000);
  await until(async () => {
    await daemon.metrics();
    return own.throttled() > 0;
  }, 'the daemon is throttled');
  const host = spawnSync(process.execPath, [`${ROOT}dist/exporter/main.js`, 'doctor'], {
    encoding: 'utf8',
    env: daemon.environment,
  });
  assert.match(
    host.stdout,
    new RegExp(`^quota  daemon \\(pid ${daemon.pid}\\) in \\S+: 1 ms each 100 ms .* s stopped`, 'm'),
  );
});

test('a VM that waits for a CPU because of a neighbour is not throttled', async (context) => {
  if (!canLimit(context)) return;
  const [name, neighbour] = ['kt-waits', 'kt-neighbour'];
  const guests = [name, neighbour].map((each) => runGuest(context, { name: each, vcpus: 1 }));
  const [guest] = guests;
  if (guest === undefined) return;
  cgroupOf(context, guest, name);
  for (const { pid } of guests) execFileSync('taskset', ['-a', '-c', '-p', '0', String(pid)]);
  const daemon = await startDaemon(context, ['--trace.backend=off']);
  const { throttled: stopped, waited: delay } = await grown(daemon, name);
  assert.equal(stopped, 0);
  assert.ok(delay > 0.4, `${delay} s of wait`);
  assert.deepEqual(series(await daemon.samples(), 'kvm_vm_quota_seconds', { vm: name }), []);
  for (const each of guests) each.stop();
});
