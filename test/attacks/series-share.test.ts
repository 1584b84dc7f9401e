import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Daemon, startDaemon } from '../../testing/daemon.ts';
import { type FakeThread, type HostTree, hostTree } from '../../testing/host-tree.ts';
import { sample, series } from '../../testing/metrics.ts';
import { until } from '../../testing/patience.ts';
import { KVM_VM, qemuProcess } from '../../testing/qemu-process.ts';

const MAX_SERIES = 400;

function addVm(tree: HostTree, name: string, pid: number, threads: number): void {
  const vcpus = Array.from(
    { length: threads },
    (_, i): FakeThread => ({ tid: pid + 1 + i, comm: `CPU ${i}/KVM`, startTime: pid }),
  );
  const fds = { 9: KVM_VM, 10: 'anon_inode:kvm-vcpu:0' };
  tree.process(qemuProcess(pid, name, { startTime: pid, fds, threads: vcpus }));
}

function start(context: TestContext, tree: HostTree, maxSeries: number): Promise<Daemon> {
  return startDaemon(context, [`--path.rootfs=${tree.folder}`, `--limits.max-series=${maxSeries}`]);
}

test('two VMs with many series lose series; a third VM and the host do not', {
  timeout: 120_000,
}, async (context) => {
  const tree = hostTree(context);
  // The greedy ones are older: they come first.
  addVm(tree, 'greedy-1', 10_000, 300);
  addVm(tree, 'greedy-2', 20_000, 300);
  addVm(tree, 'web', 30_000, 1);
  const daemon = await start(context, tree, MAX_SERIES);
  const samples = await daemon.samples();

  const dropped = (vm: string): number => sample(samples, 'kvm_telemetry_vm_series_dropped', { vm });
  const [first, second] = [dropped('greedy-1'), dropped('greedy-2')];
  assert.ok(first > 1000 && second > 1000, `${first} and ${second} series`);
  assert.equal(series(samples, 'kvm_telemetry_vm_series_dropped').length, 2);
  assert.equal(
    sample(samples, 'kvm_telemetry_series_dropped'),
    first + second,
    'no series of web or of the host',
  );
  assert.ok(sample(samples, 'kvm_telemetry_series') <= MAX_SERIES);
  const kept = (vm: string): number =>
    [...samples.keys()].filter((key) => key.includes(`{vm="${vm}"`)).length;
  assert.ok(kept('greedy-1') > 100 && Math.abs(kept('greedy-1') - kept('greedy-2')) <= 1);

  assert.equal(sample(samples, 'kvm_vm_info', { vm: 'greedy-1' }), 1, 'the most important series are left');
  assert.equal(sample(samples, 'kvm_thread_run_seconds_total', { vm: 'web', thread: 'vcpu0' }), 1);
  assert.equal(sample(samples, 'kvm_vm_affinity_drift_threads', { vm: 'web' }), 0);
  assert.equal(series(samples, 'kvm_cpu_info').length, 2);
  await daemon.metrics();
  const lines = (): unknown[] => daemon.log.flatMap((line) => ('cut' in line ? [line['cut']] : []));
  await until(() => lines().length > 0);
  assert.deepEqual(lines(), [['vm="greedy-1"', 'vm="greedy-2"']]);
});
