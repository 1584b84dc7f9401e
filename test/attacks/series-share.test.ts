import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import { type FakeThread, type HostTree, hostTree } from '../support/host-tree.ts';
import { parseSamples, type Samples, sample, series } from '../support/metrics.ts';
import { until } from '../support/until.ts';

const MAX_SERIES = 400;

function addVm(tree: HostTree, name: string, pid: number, threads: number): void {
  const vcpus = Array.from(
    { length: threads },
    (_, i): FakeThread => ({ tid: pid + 1 + i, comm: `CPU ${i}/KVM`, startTime: pid }),
  );
  tree.process({
    pid,
    comm: 'qemu-kvm',
    startTime: pid,
    argv: ['/usr/libexec/qemu-kvm', '-name', `guest=${name},debug-threads=on`, '-machine', 'q35,accel=kvm'],
    executable: '/usr/libexec/qemu-kvm',
    fds: { 9: 'anon_inode:kvm-vm', 10: 'anon_inode:kvm-vcpu:0' },
    threads: vcpus,
  });
}

function start(context: TestContext, tree: HostTree, maxSeries: number): Promise<Daemon> {
  return startDaemon(context, [`--path.rootfs=${tree.folder}`, `--limits.max-series=${maxSeries}`]);
}

test('two VMs with many series cut themselves, not a third one and not the host', {
  timeout: 120_000,
}, async (context) => {
  const tree = hostTree(context);
  // The greedy ones are older: they come first.
  addVm(tree, 'greedy-1', 10_000, 300);
  addVm(tree, 'greedy-2', 20_000, 300);
  addVm(tree, 'web', 30_000, 1);
  const whole = parseSamples(await (await start(context, tree, 500_000)).metrics());
  const daemon = await start(context, tree, MAX_SERIES);
  const samples = parseSamples(await daemon.metrics());

  const of = (all: Samples, vm: string): string[] =>
    [...all.keys()].filter((key) => key.includes(`{vm="${vm}"`) && !key.includes('_series_dropped')).sort();
  assert.ok(of(whole, 'greedy-1').length > MAX_SERIES);
  assert.deepEqual(of(samples, 'web'), of(whole, 'web'));
  const hostWide = (all: Samples): string[] =>
    [...all.keys()].filter((key) => /^kvm_(?!telemetry)/.test(key) && !key.includes('{vm=')).sort();
  assert.deepEqual(hostWide(samples), hostWide(whole));
  const [first, second] = [of(samples, 'greedy-1').length, of(samples, 'greedy-2').length];
  assert.ok(Math.abs(first - second) <= 2 && first > 100, `${first} and ${second} series`);
  assert.equal(sample(samples, 'kvm_vm_info', { vm: 'greedy-1' }), 1, 'what matters most is left');

  assert.ok(sample(samples, 'kvm_telemetry_series', {}) <= MAX_SERIES);
  for (const vm of ['greedy-1', 'greedy-2']) {
    assert.equal(
      sample(samples, 'kvm_telemetry_vm_series_dropped', { vm }),
      of(whole, vm).length - of(samples, vm).length,
    );
  }
  assert.equal(series(samples, 'kvm_telemetry_vm_series_dropped').length, 2);
  await daemon.metrics();
  const lines = (): unknown[] => daemon.log.flatMap((line) => ('cut' in line ? [line['cut']] : []));
  await until(() => lines().length > 0);
  assert.deepEqual(lines(), [['vm="greedy-1"', 'vm="greedy-2"']]);
});
