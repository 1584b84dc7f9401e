import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { HostFacts } from '../../../exporter/inventory/host-facts.ts';
import { MountCache } from '../../../exporter/inventory/mount-cache.ts';
import { Problems } from '../../../exporter/inventory/problems.ts';
import { hostTree } from '../../../testing/host-tree.ts';

test('disks, file systems and CPUs are those of the last pass', (context) => {
  const tree = hostTree(context);
  const facts = new HostFacts();
  const problems = new Problems();
  assert.deepEqual([facts.disks, facts.topology], [[], undefined]);
  tree.write('sys/devices/pci0/sda/dev', '8:0\n');
  tree.link('sys/block/sda', '../devices/pci0/sda');
  for (const name of ['sda', 'sdb']) tree.link(`sys/fs/btrfs/aaaa/devices/${name}`, '../x');
  facts.refresh(tree.host, problems);
  assert.deepEqual([...facts.disksByName.keys()], ['sda']);
  assert.equal(facts.disksByName.get('sda'), facts.disks[0]);
  assert.deepEqual(facts.fileSystems, [['sda', 'sdb']]);
  assert.deepEqual(
    facts.topology?.cpus.map(({ cpu }) => cpu),
    [0, 1],
  );
  assert.deepEqual([...problems.found.values()].flat(), []);
});

test('the topology is read again only if the CPUs or nodes change', (context) => {
  const tree = hostTree(context);
  const facts = new HostFacts();
  const problems = new Problems();
  facts.refresh(tree.host, problems);
  const first = facts.topology;
  facts.refresh(tree.host, problems);
  assert.equal(facts.topology, first);
  tree.write('sys/devices/system/cpu/online', '0-3\n');
  facts.refresh(tree.host, problems);
  assert.equal(facts.topology?.cpus.length, 4);
});

test('a topology that cannot be read is unknown, not the old one, and is read again', (context) => {
  const tree = hostTree(context);
  const facts = new HostFacts();
  const problems = new Problems();
  const cpus = (): number | undefined => facts.topology?.cpus.length;
  facts.refresh(tree.host, problems);
  assert.equal(cpus(), 2);
  tree.write('sys/devices/system/cpu/online', 'all\n');
  facts.refresh(tree.host, problems);
  assert.equal(cpus(), undefined);
  assert.equal(problems.found.get('cpus')?.length, 1);
  tree.write('sys/devices/system/cpu/online', '0-1\n');
  facts.refresh(tree.host, problems);
  assert.equal(cpus(), 2);
});

test('disks that cannot be read are a problem of the block devices only', (context) => {
  const tree = hostTree(context);
  const facts = new HostFacts();
  const problems = new Problems();
  tree.remove('sys/block');
  facts.refresh(tree.host, problems);
  assert.deepEqual(
    [facts.disks, facts.disksByName.size, problems.found.get('block')?.map(({ kind }) => kind)],
    [[], 0, ['absent']],
  );
  assert.notEqual(facts.topology, undefined);
});

test('the mounts of a process are read once; a process that has exited has none', async (context) => {
  const tree = hostTree(context);
  tree.write('proc/10/mountinfo', '21 1 259:2 / / rw - ext4 /dev/sda rw\n');
  const cache = new MountCache(tree.host);
  const first = await cache.of(10);
  assert.deepEqual(
    first.map(({ mountPoint }) => mountPoint),
    ['/'],
  );
  tree.write('proc/10/mountinfo', '');
  assert.equal(await cache.of(10), first);
  assert.deepEqual(await cache.of(11), []);
  mkdirSync(`${tree.folder}/proc/12/mountinfo`, { recursive: true });
  await assert.rejects(cache.of(12), { kind: 'failed' });
});
