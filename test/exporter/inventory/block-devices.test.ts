import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { blockDevicesOf } from '../../../exporter/inventory/block-devices.ts';
import { parseMountinfo } from '../../../probes/proc-mountinfo.ts';
import type { OtherFiles } from '../../../probes/qemu-files.ts';
import { readDisks } from '../../../probes/sys-block.ts';
import { readFileSystemDevices } from '../../../probes/sys-fs-devices.ts';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';

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

const NO_OTHERS: OtherFiles = { files: new Set(), folders: [] };

function devicesOf(
  tree: HostTree,
  target: string,
  mountId: number,
  flags = '0100002',
  otherFiles = NO_OTHERS,
  more = '',
): string[] {
  tree.write('proc/10/fdinfo/5', `pos:\t0\nflags:\t${flags}\nmnt_id:\t${mountId}\n`);
  const disks = new Map(readDisks(tree.host).map((disk) => [disk.name, disk]));
  const mounts = parseMountinfo(MOUNTS + more);
  const devices = {
    host: tree.host,
    disks,
    hostMounts: mounts,
    fileSystems: readFileSystemDevices(tree.host),
  };
  const open = { pid: 10, descriptors: [{ fd: 5, target }], mounts, otherFiles };
  const { devices: found, without } = blockDevicesOf(devices, open);
  return [...found.map(({ device, depth }) => `${depth} ${device}`), ...without];
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
  assert.deepEqual(devicesOf(tree, '/nfs/web.raw', 25), [
    '/nfs is on nfs4, which names no block device of this host',
  ]);
  assert.deepEqual(devicesOf(tree, '/srv/web.log', 22, '0100001'), []);
  assert.deepEqual(devicesOf(tree, '/dev/kvm', 24), []);
  assert.deepEqual(devicesOf(tree, '/dev/../../etc/passwd', 24), []);
  assert.deepEqual(devicesOf(tree, 'socket:[1]', 21), []);
});

/** A third disk, `nvme1n1`, with a partition. */
function withSecondNvme(context: TestContext): HostTree {
  const tree = stack(context);
  tree.write('sys/devices/pci1/nvme/nvme1/nvme1n1/dev', '259:3\n');
  tree.link('sys/block/nvme1n1', '../devices/pci1/nvme/nvme1/nvme1n1');
  tree.link('sys/class/block/nvme1n1p2', '../../devices/pci1/nvme/nvme1/nvme1n1/nvme1n1p2');
  tree.link('sys/class/block/nvme0n1p3', '../../devices/pci0/nvme/nvme0/nvme0n1/nvme0n1p3');
  return tree;
}

function onMount(tree: HostTree, mount: string, flags?: string): string[] {
  return devicesOf(tree, '/x/web.raw', 30, flags, NO_OTHERS, `${mount}\n`);
}

test('btrfs of several devices shows them all, and not those of another one on the same disk', (context) => {
  const tree = withSecondNvme(context);
  for (const name of ['nvme0n1p2', 'nvme1n1p2']) tree.link(`sys/fs/btrfs/aaaa/devices/${name}`, '../x');
  for (const name of ['nvme0n1p3', 'sda']) tree.link(`sys/fs/btrfs/bbbb/devices/${name}`, '../x');
  tree.write('sys/fs/btrfs/features/raid1c34', '0\n');
  const on = (source: string) => onMount(tree, `30 21 0:60 / /x rw - btrfs ${source} rw`);
  assert.deepEqual(on('/dev/nvme0n1p2'), ['0 nvme0n1', '0 nvme1n1']);
  assert.deepEqual(on('/dev/nvme0n1p3'), ['0 nvme0n1', '0 sda']);
});

test('btrfs on a volume of LVM is found by the name that the kernel has for it', (context) => {
  const tree = withSecondNvme(context);
  for (const name of ['dm-0', 'sdb']) tree.link(`sys/fs/btrfs/aaaa/devices/${name}`, '../x');
  assert.deepEqual(onMount(tree, '30 21 0:60 / /x rw - btrfs /dev/mapper/vg-web rw'), [
    '0 dm-0',
    '0 sdb',
    '1 nvme0n1',
  ]);
});

test('bcachefs names all its devices, or sysfs has those that joined later', (context) => {
  const tree = withSecondNvme(context);
  const on = () => onMount(tree, '30 21 0:60 / /x rw - bcachefs /dev/sda:/dev/sdb rw');
  assert.deepEqual(on(), ['0 sda', '0 sdb']);
  tree.link('sys/fs/bcachefs/aaaa/dev-0/block', '../../../../block/sda');
  tree.link('sys/fs/bcachefs/aaaa/dev-2/block', '../../../../block/nvme1n1');
  assert.deepEqual(on(), ['0 nvme1n1', '0 sda', '0 sdb']);
});

test('the devices that options of a file system name carry it as well', (context) => {
  const tree = withSecondNvme(context);
  const mount = '30 21 9:0 / /x rw - xfs /dev/md0 rw,logdev=/dev/nvme1n1,rtdev=/dev/mapper/vg-web,noquota';
  assert.deepEqual(onMount(tree, mount).slice(0, 3), ['0 dm-0', '0 md0', '0 nvme1n1']);
});

test('ZFS, FUSE and the network are reported, memory and kernel files are not', (context) => {
  const tree = stack(context);
  for (const [type, source] of [
    ['zfs', 'tank/vm'],
    ['fuse.glusterfs', 'server:/vol'],
    ['cifs', '//server/share'],
    ['9p', 'hostshare'],
    ['virtiofs', 'share'],
  ]) {
    const found = onMount(tree, `30 21 0:60 / /x rw - ${type} ${source} rw`);
    assert.deepEqual(found, [`/x is on ${type}, which names no block device of this host`]);
  }
  for (const type of ['tmpfs', 'hugetlbfs', 'proc'])
    assert.deepEqual(onMount(tree, `30 21 0:60 / /x rw - ${type} ${type} rw`), []);
});

test('an overlay leads to its upper layer for what may be written, else to the layers below', (context) => {
  const tree = withSecondNvme(context);
  const overlay = (options: string, flags?: string) =>
    onMount(tree, `30 21 0:60 / /x rw - overlay overlay rw,${options}`, flags);
  const layers = 'lowerdir=/data/a\\134:b:/data/c,upperdir=/srv/u\\040p,workdir=/srv/w';
  assert.deepEqual(overlay(layers), ['0 md0', '1 sda', '1 sdb']);
  assert.deepEqual(overlay(layers, '0100000'), ['0 dm-0', '1 nvme0n1']);
  assert.deepEqual(overlay('lowerdir+=/srv/l,datadir+=/data/d'), [
    '0 dm-0',
    '0 md0',
    '1 nvme0n1',
    '1 sda',
    '1 sdb',
  ]);
  assert.deepEqual(overlay('upperdir=/nfs/u'), ['/nfs is on nfs4, which names no block device of this host']);
  assert.deepEqual(overlay('upperdir=/x/u'), ['/x is an overlay whose layers are on no known mount']);
});

test('firmware, CD-ROMs, shared folders and memory are no disks, whatever they are opened for', (context) => {
  const tree = stack(context);
  const otherFiles: OtherFiles = {
    files: new Set(['/var/nvram/web_VARS.fd', '/fw/OVMF_CODE.fd', '/iso/debian.iso']),
    folders: ['/srv/share', '/var/ram'],
  };
  const on = (target: string, flags?: string) => devicesOf(tree, target, 21, flags, otherFiles);
  assert.deepEqual(on('/var/nvram/web_VARS.fd'), []);
  assert.deepEqual(on('/iso/debian.iso', '0100000'), []);
  assert.deepEqual(on('/srv/share/file'), []);
  assert.deepEqual(on('/var/ram/qemu_back_mem.x (deleted)'), []);
  assert.deepEqual(on('/elsewhere/OVMF_CODE.fd', '0100000'), [], 'the link leads there');
  assert.deepEqual(on('/usr/share/edk2/x64/CODE.4m.fd', '0100000'), []);
  assert.deepEqual(on('/srv', '012000000'), [], 'O_PATH');
  // A base image that is only read carries the disk, too.
  assert.deepEqual(on('/images/base.qcow2', '0100000'), ['0 nvme0n1']);
  assert.deepEqual(on('/images/web.qcow2'), ['0 nvme0n1']);
});
