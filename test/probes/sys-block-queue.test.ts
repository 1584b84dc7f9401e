import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { parseScheduler, readBlockQueue, readHardwareQueues } from '../../probes/sys-block-queue.ts';
import { capturedHost, liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';

test('the settings of captured disks are read', () => {
  const host = capturedHost();
  assert.deepEqual(readBlockQueue(host, 'nvme0c0n1'), {
    scheduler: 'none',
    requests: 1023,
    rotational: false,
    poll: false,
    writeCache: 'write back',
    completionAffinity: 1,
    logicalBlockSize: 512,
  });
  const nullb0 = readBlockQueue(host, 'nullb0');
  assert.deepEqual([nullb0.poll, nullb0.writeCache, nullb0.requests], [true, 'write through', 64]);
});

test('hardware queues are listed in order with their CPUs', (context) => {
  assert.deepEqual(readHardwareQueues(capturedHost(), 'nullb0'), [
    { queue: 0, cpus: [0] },
    { queue: 1, cpus: [1] },
    { queue: 2, cpus: [0, 1] },
  ]);
  const { host, write } = hostTree(context);
  for (const queue of [10, 9, 0]) write(`sys/block/sda/mq/${queue}/cpu_list`, `${queue}, ${queue + 1}\n`);
  write('sys/block/sda/mq/11/cpu_list', '\n');
  write('sys/block/sda/mq/12/type', 'poll\n');
  write('sys/block/sda/mq/x/cpu_list', '0\n');
  assert.deepEqual(
    readHardwareQueues(host, 'sda').map(({ queue, cpus }) => [queue, cpus]),
    [
      [0, [0, 1]],
      [9, [9, 10]],
      [10, [10, 11]],
      [11, []],
    ],
  );
});

test('a bio-based disk has no hardware queues, and one without attributes has no settings', (context) => {
  assert.deepEqual(readHardwareQueues(capturedHost(), 'nvme0n1'), []);
  const settings = readBlockQueue(hostTree(context).host, 'dm-0');
  assert.ok(Object.values(settings).every((value) => value === undefined));
});

test('the active scheduler is the one in brackets, or the only word', () => {
  assert.equal(parseScheduler('[none] mq-deadline \n'), 'none');
  assert.equal(parseScheduler('none [mq-deadline] kyber bfq\n'), 'mq-deadline');
  assert.equal(parseScheduler('none\n'), 'none');
  for (const text of ['', '\n', 'none kyber\n', '[]\n x', `[${'a'.repeat(40)}] b`]) {
    assert.equal(parseScheduler(text), undefined, text);
  }
});

test('the running kernel is read', (context) => {
  if (!existsSync('/sys/block/vda')) return context.skip('this machine has no vda');
  assert.ok((readBlockQueue(liveHost(), 'vda').logicalBlockSize ?? 0) >= 512);
  assert.ok(readHardwareQueues(liveHost(), 'vda').length > 0);
});

testRobustness('parseScheduler', parseScheduler, ['none [mq-deadline] kyber bfq\n']);
