import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { blockDevicesOf } from '../../../exporter/inventory/block-devices.ts';
import { parseMountinfo } from '../../../probes/proc-mountinfo.ts';
import { readDisks } from '../../../probes/sys-block.ts';
import { type HostTree, hostTree } from '../../support/host-tree.ts';

/** An NVMe disk with a partition under an LVM volume, an md array of two disks, and a loop device. */
function stack(context: TestContext): HostTree {
  const tree = hostTree(context);
  const disk = (name: string, device: string, path: string): void => {
    tree.write(`sys/${path}/dev`, `${device}\n`);
    tree.link(`sys/block/${name}`, `../${path}`);
  };
  disk('nvme0n1', '259:0', 'devices/pci0/nvme/nvme0/nvme0n1');
  disk('sda', '8:0', 'devices/pci0/sda');
  disk('sdb', '8:16', 'devices/pci0/sdb');
  disk('dm-0', '253:0', 'devices/virtual/block/dm-0');
  disk('md0', '9:0', 'devices/virtual/block/md0');
  disk('loop0', '7:0', 'devices/virtual/block/loop0');
  tree.write('sys/block/nvme0n1/nvme0n1p2/dev', '259:2\n');
  tree.link('sys/class/block/nvme0n1p2', '../../devices/pci0/nvme/nvme0/nvme0n1/nvme0n1p2');
  tree.link('sys/dev/block/259:2', '../../devices/pci0/nvme/nvme0/nvme0n1/nvme0n1p2');
  tree.write('sys/block/dm-0/dm/name', 'vg-web\n');
  tree.link('sys/block/dm-0/slaves/nvme0n1p2', '../../../x');
  tree.link('sys/block/md0/slaves/sda', '../../../x');
  tree.link('sys/block/md0/slaves/sdb', '../../../x');
  tree.write('sys/block/loop0/loop/backing_file', '/srv/images/a disk.img\n');
  return tree;
}

const MOUNTS = [
  '21 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw',
  '22 21 9:0 / /srv rw - xfs /dev/md0 rw',
  '23 21 0:40 / /data rw - btrfs /dev/mapper/vg-web rw',
  '24 21 0:6 / /dev rw - devtmpfs devtmpfs rw',
  '25 21 0:50 / /nfs rw - nfs4 server:/export rw',
  '',
].join('\n');

function devicesOf(tree: HostTree, target: string, mountId: number, flags = '0100002'): string[] {
  tree.write('proc/10/fdinfo/5', `pos:\t0\nflags:\t${flags}\nmnt_id:\t${mountId}\n`);
  const disks = new Map(readDisks(tree.host).map((disk) => [disk.name, disk]));
  const mounts = parseMountinfo(MOUNTS);
  const devices = { host: tree.host, disks, hostMounts: mounts };
  return blockDevicesOf(devices, 10, [{ fd: 5, target }], mounts).map(
    ({ device, depth }) => `${depth} ${device}`,
  );
}

test('a volume of LVM leads through its partition to the disk', (context) => {
  assert.deepEqual(devicesOf(stack(context), '/dev/dm-0', 24), ['0 dm-0', '1 nvme0n1']);
});

test('an image leads through the mount of its descriptor to the disk of the partition', (context) => {
  assert.deepEqual(devicesOf(stack(context), '/var/lib/images/web.qcow2', 21), ['0 nvme0n1']);
});

test('an array leads to each of its disks', (context) => {
  assert.deepEqual(devicesOf(stack(context), '/srv/images/web.raw', 22), ['0 md0', '1 sda', '1 sdb']);
});

test('a loop device leads through the mount of its file down to the hardware', (context) => {
  assert.deepEqual(devicesOf(stack(context), '/dev/loop0', 24), ['0 loop0', '1 md0', '2 sda', '2 sdb']);
});

test('a file system without a device number of its own is known by what was mounted', (context) => {
  assert.deepEqual(devicesOf(stack(context), '/data/web.raw', 23), ['0 dm-0', '1 nvme0n1']);
});

test('what lies on the network, is a log, or is no block device has none', (context) => {
  const tree = stack(context);
  assert.deepEqual(devicesOf(tree, '/nfs/web.raw', 25), []);
  assert.deepEqual(devicesOf(tree, '/srv/web.log', 22, '0100001'), []);
  assert.deepEqual(devicesOf(tree, '/dev/kvm', 24), []);
  assert.deepEqual(devicesOf(tree, '/dev/../../etc/passwd', 24), []);
  assert.deepEqual(devicesOf(tree, 'socket:[1]', 21), []);
});
