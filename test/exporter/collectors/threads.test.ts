import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostTree } from '../../../testing/host-tree.ts';
import { exporterOf } from '../../../testing/in-process.ts';
import { sample, series } from '../../../testing/metrics.ts';
import { qemuProcess } from '../../../testing/qemu-process.ts';

test('the sum over threads of a role stays when the last of them ends, and continues with the next', async (context) => {
  const tree = hostTree(context);
  const threads = [
    { tid: 11, comm: 'CPU 0/KVM' },
    { tid: 12, comm: 'worker', startTime: 2000 },
  ];
  tree.process(qemuProcess(10, 'web', { threads }));
  const { scrape } = await exporterOf(context, tree);
  const run = async (): Promise<number> =>
    sample(await scrape(), 'kvm_thread_run_seconds_total', { vm: 'web', thread: 'worker' });
  assert.equal(await run(), 1);
  tree.remove('proc/10/task/12');
  assert.equal(await run(), 1, 'the worker has ended');
  assert.deepEqual(series(await scrape(), 'kvm_vm_threads', { vm: 'web', role: 'worker' }), []);
  tree.process(qemuProcess(10, 'web', { threads: [{ tid: 13, comm: 'worker', startTime: 3000 }] }));
  assert.equal(await run(), 2);
});
