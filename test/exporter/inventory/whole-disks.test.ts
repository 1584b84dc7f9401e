import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  type BlockDevices,
  diskOfNumber,
  diskOfPath,
  wholeDisk,
} from '../../../exporter/inventory/whole-disks.ts';
import { type Disk, readDisks } from '../../../probes/sys-block.ts';
import { hostTree } from '../../../testing/host-tree.ts';

/** sda with a partition, an LVM volume, a disk with a slash in its name, and one without a device number. */
function devices(context: TestContext): BlockDevices {
  const tree = hostTree(context);
  const disk = (name: string, number: string): void => {
    tree.write(`sys/devices/x/${name}/dev`, `${number}\n`);
    tree.link(`sys/block/${name}`, `../devices/x/${name}`);
  };
  disk('sda', '8:0');
  disk('sdb', '8:16');
  disk('dm-0', '253:0');
  disk('cciss!c0d0', '104:0');
  tree.write('sys/block/dm-0/dm/name', 'vg-web\n');
  tree.write('sys/block/sda/sda1/dev', '8:1\n');
  tree.link('sys/class/block/sda1', '../../devices/x/sda/sda1');
  tree.link('sys/dev/block/8:1', '../../devices/x/sda/sda1');
  tree.link('sys/class/block/sdz1', '../../devices/x/sdz/sdz1');
  const disks = new Map(readDisks(tree.host).map((each) => [each.name, each]));
  const numberless = { ...(disks.get('sda') as Disk), name: 'aaa', device: undefined };
  return {
    host: tree.host,
    disks: new Map([['aaa', numberless], ...disks]),
    hostMounts: [],
    fileSystems: [],
  };
}

test('a device number is that of a disk or of a partition', (context) => {
  const all = devices(context);
  const of = (major: number, minor: number): string | undefined => diskOfNumber(all, { major, minor });
  assert.deepEqual([of(8, 16), of(8, 1), of(253, 0)], ['sdb', 'sda', 'dm-0']);
  assert.deepEqual([of(9, 16), of(8, 99), of(16, 8)], [undefined, undefined, undefined]);
});

test('a kernel name is that of a disk, a partition or a mapped device', (context) => {
  const all = devices(context);
  const of = (name: string): string | undefined => wholeDisk(all, name);
  assert.deepEqual(['sda', 'sda1', 'mapper!vg-web', 'dm-0'].map(of), ['sda', 'sda', 'dm-0', 'dm-0']);
  assert.deepEqual(
    ['sdx', 'vg-web', 'mapper!other', 'sdz1'].map(of),
    [undefined, undefined, undefined, undefined],
    'the disk of sdz1 is not among the disks',
  );
});

test('a path in /dev is that of its kernel name', (context) => {
  const all = devices(context);
  const of = (path: string): string | undefined => diskOfPath(all, path);
  assert.deepEqual(['/dev/sda1', '/dev/mapper/vg-web', '/dev/cciss/c0d0'].map(of), [
    'sda',
    'dm-0',
    'cciss!c0d0',
  ]);
  assert.deepEqual(['sda', '/srv/dev/sda', '/dev/'].map(of), [undefined, undefined, undefined]);
});
