import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { blockDevicesOf } from '../../../exporter/inventory/block-devices.ts';
import { FileLookups } from '../../../exporter/inventory/file-lookups.ts';
import { parseMountinfo } from '../../../probes/proc-mountinfo.ts';
import type { OtherFiles } from '../../../probes/qemu-files.ts';
import { readDisks } from '../../../probes/sys-block.ts';
import { readFileSystemDevices } from '../../../probes/sys-fs-devices.ts';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';

/** An NVMe disk with a partition under an LVM volume, an md array of two disks, and a loop device. */
function stack(context: TestContext): HostTree {
  const tree = hostTree(context);
  tree.disk('nvme0n1', '259:0', 'devices/pci0/nvme/nvme0/nvme0n1');
  tree.disk('sda', '8:0');
  tree.disk('sdb', '8:16');
  tree.disk('dm-0', '253:0', 'devices/virtual/block/dm-0');
  tree.disk('md0', '9:0', 'devices/virtual/block/md0');
  tree.disk('loop0', '7:0', 'devices/virtual/block/loop0');
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

const NO_OTHERS: OtherFiles = { files: new Set(), disks: new Set(), folders: [] };

async function devicesOf(
  tree: HostTree,
  target: string,
  mountId: number,
  flags = '0100002',
  otherFiles = NO_OTHERS,
  more = '',
): Promise<string[]> {
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
  const { devices: found, unknown } = await blockDevicesOf(devices, new FileLookups(tree.host), open);
  return [...found.map(({ device, depth }) => `${depth} ${device}`), ...unknown];
}

test('a volume of LVM leads through its partition to the disk', async (context) => {
  assert.deepEqual(await devicesOf(stack(context), '/dev/dm-0', 24), ['0 dm-0', '1 nvme0n1']);
});

test('an image leads through the mount of its descriptor to the disk of the partition', async (context) => {
  assert.deepEqual(await devicesOf(stack(context), '/var/lib/images/web.qcow2', 21), ['0 nvme0n1']);
});

test('an array leads to each of its disks', async (context) => {
  assert.deepEqual(await devicesOf(stack(context), '/srv/images/web.raw', 22), ['0 md0', '1 sda', '1 sdb']);
});

test('a loop device leads through the mount of its file down to the hardware', async (context) => {
  assert.deepEqual(await devicesOf(stack(context), '/dev/loop0', 24), ['0 loop0', '1 md0', '2 sda', '2 sdb']);
});

test('a file system without its own device number is resolved by its mount source', async (context) => {
  assert.deepEqual(await devicesOf(stack(context), '/data/web.raw', 23), ['0 dm-0', '1 nvme0n1']);
});

test('files on the network, logs and character devices have no block device', async (context) => {
  const tree = stack(context);
  assert.deepEqual(await devicesOf(tree, '/nfs/web.raw', 25), [
    '/nfs is on nfs4, which names no block device of this host',
  ]);
  assert.deepEqual(await devicesOf(tree, '/srv/web.log', 22, '0100001'), []);
  assert.deepEqual(await devicesOf(tree, '/dev/kvm', 24), []);
  assert.deepEqual(await devicesOf(tree, '/dev/../../etc/passwd', 24), []);
  assert.deepEqual(await devicesOf(tree, 'socket:[1]', 21), []);
});

/** A third disk, `nvme1n1`, with a partition. */
function withSecondNvme(context: TestContext): HostTree {
  const tree = stack(context);
  tree.disk('nvme1n1', '259:3', 'devices/pci1/nvme/nvme1/nvme1n1');
  tree.link('sys/class/block/nvme1n1p2', '../../devices/pci1/nvme/nvme1/nvme1n1/nvme1n1p2');
  tree.link('sys/class/block/nvme0n1p3', '../../devices/pci0/nvme/nvme0/nvme0n1/nvme0n1p3');
  return tree;
}

function onMount(tree: HostTree, mount: string, flags?: string): Promise<string[]> {
  return devicesOf(tree, '/x/web.raw', 30, flags, NO_OTHERS, `${mount}\n`);
}

test('btrfs on several devices has all of them, and none of another btrfs on the same disk', async (context) => {
  const tree = withSecondNvme(context);
  for (const name of ['nvme0n1p2', 'nvme1n1p2']) tree.link(`sys/fs/btrfs/aaaa/devices/${name}`, '../x');
  for (const name of ['nvme0n1p3', 'sda']) tree.link(`sys/fs/btrfs/bbbb/devices/${name}`, '../x');
  tree.write('sys/fs/btrfs/features/raid1c34', '0\n');
  const on = (source: string) => onMount(tree, `30 21 0:60 / /x rw - btrfs ${source} rw`);
  assert.deepEqual(await on('/dev/nvme0n1p2'), ['0 nvme0n1', '0 nvme1n1']);
  assert.deepEqual(await on('/dev/nvme0n1p3'), ['0 nvme0n1', '0 sda']);
});

test('btrfs on an LVM volume is found by its kernel name', async (context) => {
  const tree = withSecondNvme(context);
  for (const name of ['dm-0', 'sdb']) tree.link(`sys/fs/btrfs/aaaa/devices/${name}`, '../x');
  assert.deepEqual(await onMount(tree, '30 21 0:60 / /x rw - btrfs /dev/mapper/vg-web rw'), [
    '0 dm-0',
    '0 sdb',
    '1 nvme0n1',
  ]);
});

test('bcachefs has all its devices, including those added later (sysfs)', async (context) => {
  const tree = withSecondNvme(context);
  const on = () => onMount(tree, '30 21 0:60 / /x rw - bcachefs /dev/sda:/dev/sdb rw');
  assert.deepEqual(await on(), ['0 sda', '0 sdb']);
  tree.link('sys/fs/bcachefs/aaaa/dev-0/block', '../../../../block/sda');
  tree.link('sys/fs/bcachefs/aaaa/dev-2/block', '../../../../block/nvme1n1');
  assert.deepEqual(await on(), ['0 nvme1n1', '0 sda', '0 sdb']);
});

test('devices in the mount options of a file system count too', async (context) => {
  const tree = withSecondNvme(context);
  const mount = '30 21 9:0 / /x rw - xfs /dev/md0 rw,logdev=/dev/nvme1n1,rtdev=/dev/mapper/vg-web,noquota';
  assert.deepEqual((await onMount(tree, mount)).slice(0, 3), ['0 dm-0', '0 md0', '0 nvme1n1']);
});

test('ZFS, FUSE and network file systems are reported; memory and kernel file systems are not', async (context) => {
  const tree = stack(context);
  for (const [type, source] of [
    ['zfs', 'tank/vm'],
    ['fuse.glusterfs', 'server:/vol'],
    ['cifs', '//server/share'],
    ['9p', 'hostshare'],
    ['virtiofs', 'share'],
  ]) {
    const found = await onMount(tree, `30 21 0:60 / /x rw - ${type} ${source} rw`);
    assert.deepEqual(found, [`/x is on ${type}, which names no block device of this host`]);
  }
  for (const type of ['tmpfs', 'hugetlbfs', 'proc'])
    assert.deepEqual(await onMount(tree, `30 21 0:60 / /x rw - ${type} ${type} rw`), []);
});

test('devices that only udev names are found by its links, or reported', async (context) => {
  const tree = withSecondNvme(context);
  const on = (option: string) => onMount(tree, `30 21 9:0 / /x rw - xfs /dev/md0 rw,${option},noquota`);
  tree.link('dev/disk/by-id/nvme-eui.1', '../../nvme1n1');
  tree.link('dev/vg/web', '../dm-0');
  tree.link('dev/out', '../../etc/passwd');
  tree.link('dev/loop', 'loop');
  const md0 = ['0 md0', '1 sda', '1 sdb'];
  assert.deepEqual(await on('logdev=/dev/disk/by-id/nvme-eui.1'), ['0 md0', '0 nvme1n1', '1 sda', '1 sdb']);
  assert.deepEqual(await on('rtdev=/dev/vg/web'), ['0 dm-0', '0 md0', '1 nvme0n1', '1 sda', '1 sdb']);
  for (const path of ['/dev/out', '/dev/loop', '/dev/disk/by-id/gone', '/dev/../etc'])
    assert.deepEqual(await on(`logdev=${path}`), [
      ...md0,
      `/x is on xfs with logdev=${path}, which is no known block device`,
    ]);
});

test('ext4 with an external journal writes to two disks', async (context) => {
  const tree = withSecondNvme(context);
  const on = () => onMount(tree, '30 21 259:2 / /x rw - ext4 /dev/nvme0n1p2 rw');
  tree.write('sys/fs/ext4/nvme0n1p2/journal_task', '26848\n');
  tree.write('proc/fs/jbd2/nvme1n1p2/info', '');
  tree.write('proc/fs/jbd2/sda-8/info', '');
  tree.write('proc/26848/comm', 'jbd2/nvme1n1p2\n');
  assert.deepEqual(await on(), ['0 nvme0n1', '0 nvme1n1']);
  tree.remove('proc/26848/comm');
  assert.deepEqual(await on(), [
    '0 nvme0n1',
    '/x is on ext4 with an external journal whose device is unknown',
  ]);
  tree.write('proc/fs/jbd2/nvme0n1p2-8/info', '');
  assert.deepEqual(await on(), ['0 nvme0n1'], 'the journal is a file of the file system');
  tree.write('sys/fs/ext4/nvme0n1p2/journal_task', '<none>\n');
  tree.remove('proc/fs/jbd2/nvme0n1p2-8');
  assert.deepEqual(await on(), ['0 nvme0n1'], 'no journal');
});

test('f2fs of several devices is listed by Linux 6.10, and reported before', async (context) => {
  const tree = withSecondNvme(context);
  const on = () => onMount(tree, '30 21 259:2 / /x rw - f2fs /dev/nvme0n1p2 rw,lazytime');
  assert.deepEqual(await on(), [
    '0 nvme0n1',
    '/x is on f2fs, whose further devices a kernel before 6.10 does not list',
  ]);
  const map = 'proc/fs/f2fs/nvme0n1p2/disk_map';
  tree.write(map, 'Address Layout   :  4096B Block address (# of Segments)\n SB            :     0/1024B\n');
  assert.deepEqual(await on(), ['0 nvme0n1']);
  const disks = ['/dev/nvme0n1p2', '/dev/sda', '/dev/gone'].map(
    (path, i) => `Disk: ${i} (zoned=0): 0x0000000000 - 0x00000189ff on ${path}\n`,
  );
  tree.write(
    map,
    ` Main          : 0x0000001a00 (       148)\n\nDisk Map for multi devices:\n${disks.join('')}`,
  );
  assert.deepEqual(await on(), [
    '0 nvme0n1',
    '0 sda',
    '/x is on f2fs with /dev/gone, which is no known block device',
  ]);
});

test('bcache leads to its backing device and its cache, a stacked disk without lower devices to a message', async (context) => {
  const tree = withSecondNvme(context);
  for (const [name, device] of [
    ['bcache0', '252:0'],
    ['zd0', '230:0'],
    ['drbd0', '147:0'],
    ['zram0', '251:0'],
  ]) {
    tree.write(`sys/devices/virtual/block/${name}/dev`, `${device}\n`);
    tree.link(`sys/block/${name}`, `../devices/virtual/block/${name}`);
  }
  tree.link('sys/block/bcache0/slaves/sda', '../../../x');
  tree.link('sys/block/bcache0/slaves/nvme1n1p2', '../../../x');
  assert.deepEqual(await devicesOf(tree, '/dev/bcache0', 24), ['0 bcache0', '1 nvme1n1', '1 sda']);
  for (const name of ['zd0', 'drbd0'])
    assert.deepEqual(await devicesOf(tree, `/dev/${name}`, 24), [
      `0 ${name}`,
      `sysfs shows no disks below ${name}`,
    ]);
  assert.deepEqual(await devicesOf(tree, '/dev/zram0', 24), ['0 zram0'], 'memory');
});

test('a loop device whose file has no known disk is reported', async (context) => {
  const tree = stack(context);
  tree.write('sys/block/loop0/loop/backing_file', '/nfs/a.img\n');
  assert.deepEqual(await devicesOf(tree, '/dev/loop0', 24), [
    '0 loop0',
    '/nfs is on nfs4, which names no block device of this host',
  ]);
});

const LAYERS = 'lowerdir=/data/a\\134:b:/data/c:/srv/d,upperdir=/srv/u\\040p,workdir=/srv/w';
const MD0 = ['0 md0', '1 sda', '1 sdb'];
const LVM = ['0 dm-0', '1 nvme0n1'];
const ALL = ['0 dm-0', '0 md0', '1 nvme0n1', '1 sda', '1 sdb'];
const NOT_KNOWN = '/x is an overlay with layers on several disks, and the layer of /x/web.raw is unknown';

function onOverlay(tree: HostTree, options: string, flags?: string): Promise<string[]> {
  return onMount(tree, `30 21 0:60 / /x rw - overlay overlay rw,${options}`, flags);
}

test('a written file is in the upper layer of an overlay', async (context) => {
  const tree = withSecondNvme(context);
  assert.deepEqual(await onOverlay(tree, LAYERS), MD0);
  assert.deepEqual(await onOverlay(tree, 'upperdir=/nfs/u'), [
    '/nfs is on nfs4, which names no block device of this host',
  ]);
  assert.deepEqual(await onOverlay(tree, 'upperdir=/x/u'), [
    '/x is an overlay whose layers are on no known mount',
  ]);
});

test('a file that is only read is in the topmost layer that has it', async (context) => {
  const tree = withSecondNvme(context);
  const readOnly = '0100000';
  assert.deepEqual(
    await onOverlay(tree, LAYERS, readOnly),
    [...ALL, NOT_KNOWN],
    'the layers are not visible',
  );
  for (const layer of ['srv/u p', 'data/a:b', 'data/c', 'srv/d'])
    tree.write(`proc/1/root/${layer}/other`, '');
  assert.deepEqual(await onOverlay(tree, LAYERS, readOnly), [...ALL, NOT_KNOWN], 'no layer has it');
  tree.write('proc/1/root/srv/d/web.raw', '');
  assert.deepEqual(await onOverlay(tree, LAYERS, readOnly), MD0);
  tree.write('proc/1/root/data/c/web.raw', '');
  assert.deepEqual(await onOverlay(tree, LAYERS, readOnly), LVM);
  tree.link('proc/1/root/data/a:b/web.raw', '/etc/passwd');
  assert.deepEqual(await onOverlay(tree, LAYERS, readOnly), [...ALL, NOT_KNOWN], 'a link is no file');
  tree.write('proc/1/root/srv/u p/web.raw', '');
  assert.deepEqual(await onOverlay(tree, LAYERS, readOnly), MD0);
});

test('layers that share their disks need no search; split files cannot be searched', async (context) => {
  const tree = withSecondNvme(context);
  assert.deepEqual(await onOverlay(tree, 'lowerdir=/srv/a:/srv/b,upperdir=/srv/u', '0100000'), MD0);
  for (const layer of ['srv/l', 'data/d']) tree.write(`proc/1/root/${layer}/web.raw`, '');
  for (const options of [
    'lowerdir+=/srv/l,datadir+=/data/d',
    'lowerdir=/srv/l::/data/d',
    'lowerdir=/srv/l:/data/d,metacopy=on',
  ])
    assert.deepEqual(await onOverlay(tree, options, '0100000'), [...ALL, NOT_KNOWN], options);
  assert.deepEqual(await onOverlay(tree, 'lowerdir=/srv/l:/data/d', '0100000'), MD0);
});

test('part of an overlay that is mounted elsewhere, and a deleted file', async (context) => {
  const tree = withSecondNvme(context);
  tree.write('proc/1/root/data/l/images/web.raw', '');
  tree.write('proc/1/root/srv/u/other', '');
  const on = (target: string) =>
    devicesOf(
      tree,
      target,
      30,
      '0100000',
      NO_OTHERS,
      '30 21 0:60 /images /x rw - overlay o rw,lowerdir=/data/l,upperdir=/srv/u\n',
    );
  assert.deepEqual(await on('/x/web.raw'), LVM);
  assert.deepEqual((await on('/x/web.raw (deleted)')).slice(0, 5), ALL);
  assert.deepEqual((await on('/elsewhere/web.raw')).slice(0, 5), ALL);
});

test('a mount outside the namespace of the process is looked up on the host, or reported', async (context) => {
  const tree = stack(context);
  const inChroot = async (target: string, mountId: number): Promise<string[]> => {
    tree.write('proc/10/fdinfo/5', `pos:\t0\nflags:\t0100002\nmnt_id:\t${mountId}\n`);
    const disks = new Map(readDisks(tree.host).map((disk) => [disk.name, disk]));
    const devices = { host: tree.host, disks, hostMounts: parseMountinfo(MOUNTS), fileSystems: [] };
    const open = { pid: 10, descriptors: [{ fd: 5, target }], mounts: [], otherFiles: NO_OTHERS };
    const found = await blockDevicesOf(devices, new FileLookups(tree.host), open);
    return [...found.devices.map(({ device }) => device), ...found.unknown];
  };
  assert.deepEqual(await inChroot('/images/web.raw', 21), ['nvme0n1']);
  assert.deepEqual(await inChroot('/old/web.raw', 99), ['/old/web.raw is on no known mount']);
  for (const memory of ['/memfd:pc.ram (deleted)', '/dev/zero (deleted)', '/SYSV00000000 (deleted)'])
    assert.deepEqual(await inChroot(memory, 3), [], memory);
});

test('each mount of one file system without a device is reported by its own name', async (context) => {
  const tree = stack(context);
  const mounts = parseMountinfo(`${MOUNTS}26 21 0:50 / /bound rw - nfs4 server:/export rw\n`);
  for (const [fd, mount] of [
    [5, 25],
    [6, 26],
  ])
    tree.write(`proc/10/fdinfo/${fd}`, `pos:\t0\nflags:\t0100002\nmnt_id:\t${mount}\n`);
  const devices = { host: tree.host, disks: new Map(), hostMounts: mounts, fileSystems: [] };
  const descriptors = ['/nfs/a', '/bound/b'].map((target, i) => ({ fd: 5 + i, target }));
  const open = { pid: 10, descriptors, mounts, otherFiles: NO_OTHERS };
  const { unknown } = await blockDevicesOf(devices, new FileLookups(tree.host), open);
  assert.deepEqual(
    unknown.map((why) => why.split(' ')[0]),
    ['/bound', '/nfs'],
  );
});

test('a removed device node and a generic SCSI device lead to the disk', async (context) => {
  const tree = stack(context);
  assert.deepEqual(await devicesOf(tree, '/dev/sda (deleted)', 24), ['0 sda']);
  tree.write('sys/class/scsi_generic/sg3/device/block/sdb/size', '1\n');
  tree.write('sys/class/scsi_generic/sg4/device/tape/size', '1\n');
  assert.deepEqual(await devicesOf(tree, '/dev/sg3', 24), ['0 sdb']);
  assert.deepEqual(await devicesOf(tree, '/dev/sg4', 24), [], 'a tape');
});

test('firmware, CD-ROMs, shared folders and memory are no disks, whatever their open mode', async (context) => {
  const tree = stack(context);
  const otherFiles: OtherFiles = {
    files: new Set([
      '/var/nvram/web_VARS.fd',
      '/fw/OVMF_CODE.fd',
      '/iso/debian.iso',
      '/iso/für alle.iso',
      '/dev/dm-0',
      '/srv/sda',
    ]),
    disks: new Set(['web.qcow2', '/images/debian.iso']),
    folders: ['/srv/share', '/var/ram'],
  };
  const on = (target: string, flags?: string) => devicesOf(tree, target, 21, flags, otherFiles);
  assert.deepEqual(await on('/var/nvram/web_VARS.fd'), []);
  assert.deepEqual(await on('/iso/debian.iso', '0100000'), []);
  assert.deepEqual(await on('/srv/share/file'), []);
  assert.deepEqual(await on('/var/ram/qemu_back_mem.x (deleted)'), []);
  assert.deepEqual(await on('/elsewhere/OVMF_CODE.fd', '0100000'), [], 'the link leads there');
  assert.deepEqual(await on('/mnt/nvram/web_VARS.fd'), [], 'through a link to the folder');
  assert.deepEqual(await on('/other/debian.iso'), ['0 nvme0n1'], 'a disk has this name, too');
  assert.deepEqual(await on('/usr/share/edk2/x64/CODE.4m.fd', '0100000'), []);
  assert.deepEqual(await on('/srv', '012000000'), [], 'O_PATH');
  assert.deepEqual(await on(Buffer.from('/iso/für alle.iso').toString('latin1')), []);
  assert.deepEqual(await devicesOf(tree, '/dev/dm-0', 24, '0100000', otherFiles), [], 'variables on LVM');
  assert.deepEqual(await devicesOf(tree, '/dev/sda', 24, '0100000', otherFiles), ['0 sda']);
  // A base image that is only read carries the disk, too.
  assert.deepEqual(await on('/images/base.qcow2', '0100000'), ['0 nvme0n1']);
  assert.deepEqual(await on('/images/web.qcow2'), ['0 nvme0n1']);
});
