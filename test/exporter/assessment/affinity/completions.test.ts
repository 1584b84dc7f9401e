import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCompletionCpus } from '../../../../exporter/assessment/affinity/completions.ts';
import type { Disk } from '../../../../probes/sys-block.ts';
import { readDisks } from '../../../../probes/sys-block.ts';
import { capturedHost } from '../../../../testing/captured.ts';
import { hostTree } from '../../../../testing/host-tree.ts';

const disk = (more: Partial<Disk>): Disk =>
  ({
    name: 'nvme0n1',
    controllers: ['nvme0'],
    carriers: [{ name: 'nvme0n1', controller: 'nvme0' }],
    hidden: false,
    ...more,
  }) as Disk;

test("the captured host's NVMe completes on the CPUs of its queues' interrupts, and only NVMe is reported", () => {
  const host = capturedHost('linux-nvme-vhost', 't1');
  const completions = readCompletionCpus(host, readDisks(host));
  assert.deepEqual([...completions.keys()], ['nvme0n1']);
  assert.deepEqual(
    [...(completions.get('nvme0n1') ?? [])],
    [
      [0, [0]],
      [1, [1]],
    ],
  );
});

test('a disk with two paths completes at the controller of each', (context) => {
  const { host, write } = hostTree(context);
  write(
    'proc/interrupts',
    [
      '     CPU0 CPU1',
      ' 28: 1 0 PCI-MSI 0-edge nvme0q0',
      ' 29: 1 0 PCI-MSI 1-edge nvme0q1',
      ' 30: 1 0 PCI-MSI 2-edge nvme1q1',
      ' 31: 1 0 PCI-MSI 3-edge nvme1q2',
      ' 32: 1 0 PCI-MSI 4-edge not-nvme0q1',
      '',
    ].join('\n'),
  );
  for (const [irq, cpus] of Object.entries({ 28: '5', 29: '0', 30: '2-3', 31: '3', 32: '6' }))
    write(`proc/irq/${irq}/effective_affinity_list`, `${cpus}\n`);
  write('sys/block/nvme0c7n1/mq/0/cpu_list', '0, 1\n');
  write('sys/block/nvme0c0n1/mq/0/cpu_list', '0, 1\n');
  write('sys/block/nvme0c1n1/mq/0/cpu_list', '0\n');
  write('sys/block/nvme0c1n1/mq/1/cpu_list', '1\n');
  const disks = [
    disk({
      controllers: ['nvme0', 'nvme1'],
      carriers: [
        // The link of this path was missing when it was read.
        { name: 'nvme0c7n1', controller: undefined, node: undefined },
        { name: 'nvme0c0n1', controller: 'nvme0', node: 0 },
        { name: 'nvme0c1n1', controller: 'nvme1', node: 1 },
      ],
    }),
    disk({ name: 'nvme0c0n1', hidden: true }),
  ];
  const completions = readCompletionCpus(host, disks);
  assert.deepEqual([...completions.keys()], ['nvme0n1']);
  assert.deepEqual(
    [...(completions.get('nvme0n1') ?? [])],
    [
      [0, [0, 2, 3]],
      [1, [0, 3]],
    ],
  );
});

test('a polled queue has no interrupt, and a queue that disappears affects no other', (context) => {
  const { host, write } = hostTree(context);
  write(
    'proc/interrupts',
    '     CPU0 CPU1\n 29: 1 0 PCI-MSI 1-edge nvme0q1\n 30: 1 0 PCI-MSI 1-edge nvme0q2\n',
  );
  write('proc/irq/29/effective_affinity_list', '1\n');
  write('sys/block/nvme0n1/mq/0/cpu_list', '0\n');
  write('sys/block/nvme0n1/mq/1/cpu_list', '1\n');
  write('sys/block/nvme0n1/mq/2/cpu_list', '0, 1\n');
  const completions = readCompletionCpus(host, [disk({})]);
  assert.deepEqual([...(completions.get('nvme0n1') ?? [])], [[0, [1]]]);
});

test('without an NVMe disk the interrupts are not read', (context) => {
  const { host, remove } = hostTree(context);
  remove('proc/interrupts');
  assert.equal(readCompletionCpus(host, [disk({ name: 'sda', controllers: [] })]).size, 0);
  assert.throws(() => readCompletionCpus(host, [disk({})]), { name: 'SourceError', kind: 'absent' });
});
