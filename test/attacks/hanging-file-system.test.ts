import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { hostTree } from '../../testing/host-tree.ts';
import { exporterOf } from '../../testing/in-process.ts';
import { sample, series } from '../../testing/metrics.ts';
import { until } from '../../testing/patience.ts';
import { qemuProcess } from '../../testing/qemu-process.ts';
import { has } from '../../testing/tools.ts';

/** Mounts a FUSE file system that never responds. @returns a function that ends it, so that waiting reads fail */
function hangingMount(folder: string): () => void {
  const device = openSync('/dev/fuse', 'r+');
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
  const { status, stderr } = spawnSync('mount', ['-i', '-t', 'fuse', '-o', options, 'none', folder], {
    stdio: ['ignore', 'ignore', 'pipe', device],
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return () => {
    closeSync(device);
    spawnSync('umount', ['-l', folder]);
  };
}

function canMount(context: TestContext): boolean {
  const isRoot = process.geteuid?.() === 0;
  const fuse = /\bfuse$/m.test(readFileSync('/proc/filesystems', 'utf8'));
  return has(context, isRoot && fuse, 'only root can mount FUSE, and the kernel must have it');
}

test('a hanging /etc/pve blocks neither a scrape nor other slow reads, and is read again when it responds', async (context) => {
  if (!canMount(context)) return;
  const tree = hostTree(context);
  const qemu = qemuProcess(10, 'web');
  tree.process({ ...qemu, argv: [...(qemu.argv ?? []), '-id', '101'] });
  const uptime = (seconds: number): void => tree.write('proc/uptime', `${seconds}.00 1.00\n`);
  uptime(1000);
  tree.write('run/qemu-server/101.pid', '10\n');
  const conf = 'etc/pve/qemu-server/101.conf';
  tree.write(conf, 'tags: prod\n');
  const { scrape } = await exporterOf(context, tree, { 'metadata.labels': 'tags' });
  const tags = async (): Promise<string[]> => series(await scrape(), 'kvm_vm_metadata_info');
  await until(async () => (await tags()).length > 0);
  const before = await tags();

  tree.write(conf, 'tags: test\n');
  const end = hangingMount(`${tree.folder}/etc/pve`);
  try {
    uptime(2000);
    await tags();
    const success = async (): Promise<number> =>
      sample(await scrape(), 'kvm_telemetry_collector_success', { collector: 'vms' });
    await until(async () => (await success()) === 0);
    assert.deepEqual(await tags(), before, 'what was known stays');
    const { host } = tree;
    await host.userSpaceHead(`${tree.folder}/${conf}`, 10, 100).catch(() => undefined);
    await assert.rejects(
      host.userSpaceHead('/etc/hostname', 10, 5000),
      /1 earlier reads of such files still hang/,
    );
    assert.notEqual(await host.slowText('/proc/self/status', 65_536, 5000), '', 'a thread is left');
  } finally {
    end();
  }
  uptime(3000);
  await until(async () => (await tags()).join() === before.join().replace('prod', 'test'));
});
