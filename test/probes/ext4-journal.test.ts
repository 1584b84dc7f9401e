import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readExternalJournal } from '../../probes/ext4-journal.ts';
import { hostTree } from '../../testing/host-tree.ts';

test('the thread of a journal has its whole name since Linux 5.17, 15 characters before', (context) => {
  const tree = hostTree(context);
  const journalOf = (device: string) => readExternalJournal(tree.host, device);
  tree.write('sys/fs/ext4/nvme10n1p1/journal_task', '77\n');
  for (const name of ['nvme11n1p12', 'nvme11n1p2', 'nvme10n1p10-8'])
    tree.write(`proc/fs/jbd2/${name}/info`, '');
  tree.write('proc/77/comm', 'jbd2/nvme11n1p12\n');
  assert.deepEqual(journalOf('nvme10n1p1'), { device: 'nvme11n1p12' });
  tree.write('proc/77/comm', 'jbd2/nvme11n1p2\n');
  assert.deepEqual(journalOf('nvme10n1p1'), { device: 'nvme11n1p2' });
  tree.write('proc/77/comm', 'jbd2/nvme11n1p1\n');
  assert.deepEqual(journalOf('nvme10n1p1'), { device: 'nvme11n1p12' }, 'truncated');
  tree.write('proc/fs/jbd2/nvme11n1p13/info', '');
  assert.equal(journalOf('nvme10n1p1'), 'unknown', 'two begin like this');
});

test('a number at the end of a device name is no inode', (context) => {
  const tree = hostTree(context);
  tree.write('sys/fs/ext4/dm-0/journal_task', '77\n');
  tree.write('proc/77/comm', 'jbd2/dm-1\n');
  tree.write('proc/fs/jbd2/dm-1/info', '');
  assert.deepEqual(readExternalJournal(tree.host, 'dm-0'), { device: 'dm-1' });
  tree.write('proc/fs/jbd2/dm-0-8/info', '');
  assert.equal(readExternalJournal(tree.host, 'dm-0'), undefined);
});

test('a file system without a journal, and one of another kind', (context) => {
  const tree = hostTree(context);
  tree.write('sys/fs/ext4/sda/journal_task', '<none>\n');
  assert.equal(readExternalJournal(tree.host, 'sda'), undefined);
  assert.equal(readExternalJournal(tree.host, 'sdb'), undefined);
});
