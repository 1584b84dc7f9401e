import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { guestWithMonitor } from '../../testing/guest-with-monitor.ts';
import { sample, series } from '../../testing/metrics.ts';
import { canRunGuests } from '../../testing/qemu.ts';

/** A QEMU of version 10 or newer: scripts/newer-qemu.sh. */
const QEMU = process.env['NEWER_QEMU'];
const VM = 'kt-newer';

const device = (properties: object): string[] => ['-device', JSON.stringify(properties)];
const disk = (node: string): string[] => [
  '-blockdev',
  `null-co,node-name=${node},size=1048576,read-zeroes=on`,
];

test('several IOThreads for the queues of virtio-blk and of virtio-scsi, on a real QEMU 10', async (context) => {
  if (QEMU === undefined) return context.skip('NEWER_QEMU is not set: scripts/newer-qemu.sh');
  if (!canRunGuests(context)) return;
  // Daemons of other tests must leave its monitor alone.
  const sockets = temporaryFolder(context);
  const options = {
    name: VM,
    program: QEMU,
    extra: [
      ['-object', 'iothread,id=io1', '-object', 'iothread,id=io2,poll-max-ns=0'],
      ...['d1', 'd2', 'd3'].map(disk),
      device({
        driver: 'virtio-blk-pci',
        id: 'vdb',
        drive: 'd1',
        'num-queues': 4,
        'iothread-vq-mapping': [
          { iothread: 'io0', vqs: [0, 2] },
          { iothread: 'io1', vqs: [1, 3] },
        ],
      }),
      device({
        driver: 'virtio-scsi-pci',
        id: 'scsi0',
        num_queues: 4,
        'iothread-vq-mapping': [{ iothread: 'io0' }, { iothread: 'io1' }],
      }),
      device({ driver: 'scsi-hd', id: 'sda', drive: 'd2', bus: 'scsi0.0' }),
      device({
        driver: 'virtio-scsi-pci',
        id: 'scsi1',
        num_queues: 4,
        'iothread-vq-mapping': [
          { iothread: 'io0', vqs: [0, 2] },
          { iothread: 'io2', vqs: [1, 3] },
        ],
      }),
      device({ driver: 'scsi-hd', id: 'sdb', drive: 'd3', bus: 'scsi1.0' }),
    ].flat(),
  };
  guestWithMonitor(context, options, sockets);
  const monitors = [
    `--qmp.sockets=${sockets}/*.sock`,
    `--qmp.directories=${sockets}`,
    '--qmp.timeout-seconds=10',
  ];
  const samples = await (await startDaemon(context, monitors)).samples();
  const threads = (name: string): string[] =>
    series(samples, 'kvm_vm_disk_queue_iothread_info', { vm: VM, disk: name })
      .map((key) => `${/queue="(\d+)"/.exec(key)?.[1]} ${/iothread="(\w+)"/.exec(key)?.[1]}`)
      .sort();
  assert.deepEqual(threads('vdb'), ['0 io0', '1 io1', '2 io0', '3 io1']);
  assert.deepEqual(threads('sda'), ['0 io0', '1 io1', '2 io0', '3 io1'], 'round robin');
  assert.deepEqual(threads('sdb'), ['0 io0', '1 io2', '2 io0', '3 io2']);
  for (const name of ['vdb', 'sda', 'sdb'])
    assert.equal(sample(samples, 'kvm_vm_disk_queues', { vm: VM, disk: name }), 4);
  const feature = (name: string): number => sample(samples, 'kvm_vm_feature', { vm: VM, feature: name });
  assert.deepEqual([feature('iothread_vq_mapping'), feature('multiqueue')], [1, 1]);
  assert.equal(sample(samples, 'kvm_iothread_poll_max_seconds', { vm: VM, iothread: 'io2' }), 0);
});
