import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readWorkingDirectory } from '../../probes/proc-pid-cwd.ts';
import { readFileSystemDevices } from '../../probes/sys-fs-devices.ts';
import { hostTree } from '../../testing/host-tree.ts';

test('a host without btrfs and bcachefs has none', (context) => {
  assert.deepEqual(readFileSystemDevices(hostTree(context).host), []);
});

test('each file system has its devices by kernel name, in order', (context) => {
  const tree = hostTree(context);
  for (const name of ['sdb', 'sda']) tree.link(`sys/fs/btrfs/bbbb/devices/${name}`, '../x');
  tree.link('sys/fs/btrfs/aaaa/devices/sdc', '../x');
  tree.write('sys/fs/btrfs/features/raid1c34', '0\n');
  tree.link('sys/fs/bcachefs/cccc/dev-1/block', '../../../../block/nvme1n1');
  tree.link('sys/fs/bcachefs/cccc/dev-0/block', '../../../../block/nvme0n1');
  tree.link('sys/fs/bcachefs/cccc/counters/block', '../../../../block/no');
  tree.write('sys/fs/bcachefs/cccc/dev-2/label', 'offline\n');
  assert.deepEqual(readFileSystemDevices(tree.host), [['sdc'], ['sda', 'sdb'], ['nvme0n1', 'nvme1n1']]);
});

test('the working directory of a process is an absolute path that exists, or unknown', (context) => {
  const tree = hostTree(context);
  const of = (target: string): string | undefined => {
    tree.link('proc/10/cwd', target);
    return readWorkingDirectory(tree.host, 10);
  };
  assert.equal(of('/srv/größe'), '/srv/größe');
  assert.equal(of('/srv/old (deleted)'), undefined);
  assert.equal(of('(unreachable)/srv'), undefined);
  assert.equal(readWorkingDirectory(tree.host, 11), undefined);
});
