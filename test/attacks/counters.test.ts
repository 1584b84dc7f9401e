import assert from 'node:assert/strict';
import { test } from 'node:test';
import { caseText } from '../../testing/cases.ts';
import { startDaemon } from '../../testing/daemon.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { type Samples, sample } from '../../testing/metrics.ts';
import { assertNoneFalls } from '../../testing/never-falls.ts';
import { KVM_VM, qemuProcess } from '../../testing/qemu-process.ts';

const THREAD = { vm: 'web', thread: 'vcpu0' };

test('no counter of a running VM falls when its files change or are unreadable', async (context) => {
  const tree = hostTree(context);
  tree.process(
    qemuProcess(10, 'web', {
      fds: { 9: KVM_VM, 11: { target: '/dev/sda', mount: 1 } },
      threads: [
        { tid: 11, comm: 'CPU 0/KVM' },
        { tid: 12, comm: 'worker' },
        { tid: 13, comm: 'worker' },
      ],
    }),
  );
  tree.disk('sda', '8:0');
  tree.write('sys/block/sda/inflight', '0 0\n');
  tree.write('sys/kernel/debug/kvm/10-9/exits', '1000\n');
  tree.write('sys/block/sda/stat', '100 0 800 4294967290 5 0 40 9 0 10 11\n');
  tree.write('proc/interrupts', caseText('interrupts-sum-wraps', 't0', 'proc/interrupts'));
  const stat = (at: string): string =>
    caseText('guest-grows-more-than-user', at, 'stat').replace('5102 (', '11 (');
  tree.write('proc/10/task/11/stat', stat('t0'));
  const daemon = await startDaemon(context, [`--path.rootfs=${tree.folder}`]);

  let before: Samples = new Map();
  const scrape = async (): Promise<Samples> => {
    const now = await daemon.samples();
    assertNoneFalls(before, now, 'the next scrape');
    before = now;
    return now;
  };
  const cpu = (samples: Samples, mode: string): number =>
    sample(samples, 'kvm_thread_cpu_seconds_total', { ...THREAD, mode });

  const first = await scrape();
  assert.equal(cpu(first, 'user'), 2559.51);
  tree.write('proc/10/task/11/stat', stat('t1'));
  tree.write('proc/interrupts', caseText('interrupts-sum-wraps', 't1', 'proc/interrupts'));
  tree.write('sys/block/sda/stat', '101 0 808 20 5 0 40 9 0 10 11\n');
  tree.write('proc/10/task/12/schedstat', 'what?\n');
  const second = await scrape();
  assert.equal(cpu(second, 'user'), 2559.51);
  const grown = ['user', 'system', 'guest'].map((mode) => cpu(second, mode) - cpu(first, mode));
  assert.equal(Math.round(grown.reduce((sum, each) => sum + each, 0) * 100), 50, 'its run time');
  const delta = (name: string, labels: Record<string, string>): number =>
    sample(second, name, labels) - sample(first, name, labels);
  assert.equal(delta('kvm_interrupts_total', { type: 'PIN' }), 3_200_000);
  assert.equal(Math.round(delta('kvm_block_read_time_seconds_total', { device: 'sda' }) * 1000), 26);
  const workers = { vm: 'web', thread: 'worker' };
  assert.equal(
    sample(second, 'kvm_thread_run_seconds_total', workers),
    2,
    'the sum includes the unreadable thread',
  );
  assert.equal(sample(second, 'kvm_thread_context_switches_total', { ...workers, type: 'voluntary' }), 14);

  tree.write('proc/10/task/12/schedstat', '1500000000 2000000 31\n');
  tree.write('sys/kernel/debug/kvm/10-9/exits', '3\n');
  assert.equal(sample(await scrape(), 'kvm_thread_run_seconds_total', workers), 2.5);
  tree.remove('proc/10/task/12');
  tree.write('sys/kernel/debug/kvm/10-9/exits', '5\n');
  const last = await scrape();
  assert.equal(
    sample(last, 'kvm_thread_run_seconds_total', workers),
    2.5,
    'the time of an ended thread stays in the sum',
  );
  assert.equal(
    sample(last, 'kvm_vm_exits_total', { vm: 'web' }),
    1002,
    'the counter continues after a reset',
  );
  await daemon.stop();
});
