import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostTree } from '../../../testing/host-tree.ts';
import { exporterOf } from '../../../testing/in-process.ts';
import { sample } from '../../../testing/metrics.ts';
import { until } from '../../../testing/patience.ts';
import { qemuProcess } from '../../../testing/qemu-process.ts';

const MIB = 1024 * 1024;

test('transparent huge pages are read of one VM after the other, and again after ten minutes', async (context) => {
  const tree = hostTree(context);
  const rollup = (pid: number, mib: number): void =>
    tree.write(
      `proc/${pid}/smaps_rollup`,
      `7f00-7fff ---p 00000000 00:00 0 [rollup]\nRss: 9 kB\nAnonHugePages: ${mib * 1024} kB\n`,
    );
  for (const [pid, name] of [
    [10, 'web'],
    [20, 'db'],
  ] as const) {
    tree.process(qemuProcess(pid, name));
    rollup(pid, pid);
  }
  tree.write('proc/uptime', '1000.00 1.00\n');
  const { scrape } = await exporterOf(context, tree);
  const shown = async (): Promise<number[]> => {
    const samples = await scrape();
    return ['web', 'db'].map(
      (vm) => sample(samples, 'kvm_vm_memory_huge_bytes', { vm, kind: 'transparent' }) / MIB,
    );
  };
  const seen = async (web: number, db: number): Promise<boolean> => {
    const values = await shown().catch(() => []);
    return values[0] === web && values[1] === db;
  };
  await until(() => seen(10, 20));
  for (const pid of [10, 20]) rollup(pid, pid + 1);
  tree.write('proc/uptime', '1599.00 1.00\n');
  for (let i = 0; i < 4; i++) assert.ok(await seen(10, 20), 'within ten minutes');
  tree.write('proc/uptime', '1601.00 1.00\n');
  await until(() => seen(11, 21));
});
