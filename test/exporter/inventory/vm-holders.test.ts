import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { vmRow } from '../../../testing/bpf-rows.ts';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { exporterOf, type TreeExporter } from '../../../testing/in-process.ts';
import { type Samples, series } from '../../../testing/metrics.ts';

const FLAGS = { 'trace.backend': 'off' };
/** As many passes as a new process is checked in, and more. */
const MANY_PASSES = 8;

const pids = (samples: Samples): string[] =>
  series(samples, 'kvm_vm_info').map((key) => /pid="(\d+)"/.exec(key)?.[1] ?? '');

/** A host whose process 30 is old, and no VMM by its name. */
async function hostWithOldProcess(context: TestContext): Promise<{ tree: HostTree; exporter: TreeExporter }> {
  const tree = hostTree(context);
  tree.write('bpf/kvm', vmRow(99));
  tree.process({ pid: 30, comm: 'agent', executable: '/usr/bin/agent', fds: { 3: '/dev/null' } });
  const exporter = await exporterOf(context, tree, FLAGS);
  for (let i = 0; i < MANY_PASSES; i++) await exporter.discover();
  assert.deepEqual(pids(await exporter.scrape()), []);
  return { tree, exporter };
}

test('an old process that creates a VM is found in the next scrape, without debugfs', async (context) => {
  const { tree, exporter } = await hostWithOldProcess(context);
  tree.link('proc/30/fd/5', 'anon_inode:kvm-vm');
  tree.write('bpf/kvm', Buffer.concat([vmRow(99), vmRow(30)]));
  assert.deepEqual(pids(await exporter.scrape()), ['30']);
});

test('a process that only inherited the descriptor of a VM is no VM', async (context) => {
  const { tree, exporter } = await hostWithOldProcess(context);
  const inherited = { 5: 'anon_inode:kvm-vm' };
  tree.process({ pid: 31, comm: 'firecracker', executable: '/usr/bin/firecracker', fds: inherited });
  assert.deepEqual(pids(await exporter.scrape()), []);
});

test('if the rows cannot be read, descriptors show the VMs', async (context) => {
  const { tree, exporter } = await hostWithOldProcess(context);
  tree.write('bpf/kvm', 'damaged');
  tree.process({
    pid: 33,
    comm: 'firecracker',
    executable: '/usr/bin/firecracker',
    argv: ['firecracker'],
    fds: { 5: 'anon_inode:kvm-vm' },
  });
  assert.deepEqual(pids(await exporter.scrape()), ['33']);
});
