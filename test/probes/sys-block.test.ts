import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { blockDeviceName, type Disk, diskOfPartition, readDisks } from '../../probes/sys-block.ts';
import { capturedHost, liveHost } from '../../testing/captured.ts';
import { type HostTree, hostTree } from '../../testing/host-tree.ts';

/** Puts disks where the kernel does: a link in /sys/block to a directory of the device tree. */
function diskTree(
  context: Parameters<typeof hostTree>[0],
  paths: Readonly<Record<string, string>>,
): HostTree {
  const tree = hostTree(context);
  for (const [path, dev] of Object.entries(paths)) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    tree.write(`sys/devices/${path}/dev`, `${dev}\n`);
    tree.link(`sys/block/${name}`, `../devices/${path}`);
    tree.link(`sys/class/block/${name}`, `../../devices/${path}`);
    tree.link(`sys/dev/block/${dev}`, `../../devices/${path}`);
  }
  return tree;
}

function disk(disks: readonly Disk[], name: string): Disk {
  const found = disks.find((one) => one.name === name);
  assert.ok(found, name);
  return found;
}

test('a captured NVMe multipath disk is its path, its controller and its number', () => {
  const disks = readDisks(capturedHost());
  assert.deepEqual(disk(disks, 'nvme0n1'), {
    name: 'nvme0n1',
    device: { major: 259, minor: 1 },
    slaves: [],
    mapperName: undefined,
    loopFile: undefined,
    paths: ['nvme0c0n1'],
    hidden: false,
    carriers: [{ name: 'nvme0c0n1', controller: 'nvme0', node: undefined }],
    controllers: ['nvme0'],
    node: undefined,
    physical: true,
  });
  const path = disk(disks, 'nvme0c0n1');
  assert.deepEqual([path.hidden, path.device, path.controllers], [true, { major: 259, minor: 0 }, ['nvme0']]);
  const nullb0 = disk(disks, 'nullb0');
  assert.deepEqual([nullb0.physical, nullb0.device?.major, nullb0.controllers], [false, 253, []]);
});

test('two paths and two namespaces of one NVMe subsystem are kept apart', (context) => {
  const pci = 'pci0000:00/0000:00:0';
  const { host, write } = diskTree(context, {
    [`${pci}1.0/nvme/nvme0/nvme0c0n1`]: '0:1',
    [`${pci}2.0/nvme/nvme1/nvme0c1n1`]: '0:2',
    [`${pci}2.0/nvme/nvme1/nvme0c1n11`]: '0:3',
    [`${pci}3.0/nvme/nvme10/nvme10n1`]: '259:9',
    'virtual/nvme-subsystem/nvme-subsys0/nvme0n1': '259:0',
    'virtual/nvme-subsystem/nvme-subsys0/nvme0n11': '259:1',
  });
  write(`sys/devices/${pci}1.0/nvme/nvme0/numa_node`, '1\n');
  const disks = readDisks(host);
  assert.deepEqual(disk(disks, 'nvme0n1').paths, ['nvme0c0n1', 'nvme0c1n1']);
  assert.deepEqual(disk(disks, 'nvme0n1').controllers, ['nvme0', 'nvme1']);
  assert.equal(disk(disks, 'nvme0n1').node, undefined, 'the node of the second path is not known');
  assert.deepEqual(disk(disks, 'nvme0n1').carriers, [
    { name: 'nvme0c0n1', controller: 'nvme0', node: 1 },
    { name: 'nvme0c1n1', controller: 'nvme1', node: undefined },
  ]);
  assert.equal(disk(disks, 'nvme0c0n1').node, 1);
  assert.deepEqual(disk(disks, 'nvme0n11').paths, ['nvme0c1n11']);
  const plain = disk(disks, 'nvme10n1');
  assert.deepEqual([plain.paths, plain.controllers, plain.hidden], [[], ['nvme10'], false]);
});

test('NVMe over fabrics has hardware behind it though its bus is virtual', (context) => {
  const { host } = diskTree(context, {
    'virtual/nvme-fabrics/ctl/nvme3/nvme3c3n1': '0:1',
    'virtual/nvme-subsystem/nvme-subsys3/nvme3n1': '259:0',
  });
  assert.equal(disk(readDisks(host), 'nvme3n1').physical, true);
});

test('the NUMA node is that of the nearest device above the disk, whatever the bus', (context) => {
  const { host, write } = diskTree(context, {
    'pci0000:00/0000:00:02.0/virtio1/block/vda': '254:0',
    'pci0000:80/0000:80:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda': '8:0',
    'pci0000:00/0000:00:05.0/mmc_host/mmc0/mmc0:0001/block/mmcblk0': '179:0',
    'virtual/block/loop0': '7:0',
  });
  write('sys/devices/pci0000:00/0000:00:02.0/numa_node', '0\n');
  write('sys/devices/pci0000:80/0000:80:17.0/numa_node', '1\n');
  write('sys/devices/pci0000:00/0000:00:05.0/numa_node', '-1\n');
  const disks = readDisks(host);
  const nodes = ['vda', 'sda', 'mmcblk0', 'loop0'].map((name) => disk(disks, name).node);
  assert.deepEqual(nodes, [0, 1, undefined, undefined]);
});

test('device-mapper, md and loop devices have their lower devices', (context) => {
  const { host, write } = diskTree(context, {
    'virtual/block/dm-0': '252:0',
    'virtual/block/md127': '9:127',
    'virtual/block/loop0': '7:0',
    'virtual/block/loop1': '7:1',
  });
  write('sys/devices/virtual/block/dm-0/dm/name', 'vg-\xc3\xa0\n');
  write('sys/devices/virtual/block/dm-0/slaves/md127/dev', '');
  write('sys/devices/virtual/block/md127/slaves/nvme1n1p2/dev', '');
  write('sys/devices/virtual/block/md127/slaves/nvme0n1/dev', '');
  write('sys/devices/virtual/block/loop0/loop/backing_file', '/srv/a b \n');
  const disks = readDisks(host);
  assert.deepEqual([disk(disks, 'dm-0').mapperName, disk(disks, 'dm-0').slaves], ['vg-\xc3\xa0', ['md127']]);
  assert.deepEqual(disk(disks, 'md127').slaves, ['nvme0n1', 'nvme1n1p2']);
  assert.equal(disk(disks, 'loop0').loopFile, '/srv/a b ');
  assert.equal(disk(disks, 'loop1').loopFile, undefined);
  assert.ok(disks.every(({ physical }) => !physical));
});

test('disks with unusual names are separate disks', (context) => {
  const { host } = diskTree(context, {
    'pci0000:00/0000:00:06.0/cciss0/c0d0/block/cciss!c0d0': '104:0',
    'pci0000:00/0000:00:05.0/mmc_host/mmc0/mmc0:0001/block/mmcblk0': '179:0',
    'pci0000:00/0000:00:05.0/mmc_host/mmc0/mmc0:0001/block/mmcblk0/mmcblk0boot0': '179:8',
    'pci0000:00/0000:00:07.0/host1/block/sdzz': '4095:1048575',
  });
  const disks = readDisks(host);
  assert.deepEqual(
    disks.map(({ name, physical, hidden }) => [name, physical, hidden]),
    ['cciss!c0d0', 'mmcblk0', 'mmcblk0boot0', 'sdzz'].map((name) => [name, true, false]),
  );
  assert.deepEqual(disk(disks, 'sdzz').device, { major: 4095, minor: 1048575 });
});

test('a partition belongs to its disk, and a number has a name', (context) => {
  const { host, link } = diskTree(context, { 'pci0000:00/0000:00:01.0/nvme/nvme0/nvme0n1': '259:0' });
  link('sys/class/block/nvme0n1p3', '../../devices/pci0000:00/0000:00:01.0/nvme/nvme0/nvme0n1/nvme0n1p3');
  link('sys/class/block/cciss!c0d0p1', '../../devices/cciss0/block/cciss!c0d0/cciss!c0d0p1');
  assert.equal(diskOfPartition(host, 'nvme0n1p3'), 'nvme0n1');
  assert.equal(diskOfPartition(host, 'cciss!c0d0p1'), 'cciss!c0d0');
  for (const name of ['nvme9n9', '../../x', '', 'a/b', 'x\0', 'a'.repeat(65)]) {
    assert.equal(diskOfPartition(host, name), undefined);
  }
  assert.equal(blockDeviceName(host, { major: 259, minor: 0 }), 'nvme0n1');
  assert.equal(blockDeviceName(host, { major: 259, minor: 7 }), undefined);
});

test('a disk with invalid files has no number; a missing list of disks is absent', (context) => {
  const { host, write, remove } = diskTree(context, { 'virtual/block/sdx': '8:0' });
  for (const dev of ['', '8', 'x:y', '-8:0', '8:']) {
    write('sys/devices/virtual/block/sdx/dev', `${dev}\n`);
    assert.equal(disk(readDisks(host), 'sdx').device, undefined, dev);
  }
  remove('sys/block');
  assert.throws(() => readDisks(host), { name: 'SourceError', kind: 'absent' });
});

test('the running kernel is read', (context) => {
  if (!existsSync('/sys/block/vda')) return context.skip('this machine has no vda');
  const vda = disk(readDisks(liveHost()), 'vda');
  assert.ok(vda.physical && vda.device !== undefined);
  assert.equal(blockDeviceName(liveHost(), vda.device), 'vda');
});
