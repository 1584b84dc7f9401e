import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { CLOSES } from '../../lab/simhost/qmp/faults.ts';
import { QmpError } from '../../lab/simhost/qmp/server.ts';
import { type Controllers, type QmpDiskQueues, readDiskQueues } from '../../probes/qmp-qom.ts';
import { connected } from '../../testing/qmp-server.ts';

const NOTHING = { queues: undefined, hasIothread: false, iothread: undefined, mapping: [] };
const DISK = '/machine/peripheral/vda';

/** The result for disks on a QEMU with these objects, by path, and the number of requests. */
async function readAll(
  context: TestContext,
  objects: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  disks: readonly string[],
): Promise<{ found: QmpDiskQueues[]; questions: number }> {
  let questions = 0;
  const { qmp } = await connected(context, {
    'qom-get': ({ path, property }: { path: string; property: string }) => {
      questions++;
      const properties = objects[path] ?? {};
      if (property in properties) return properties[property];
      throw new QmpError('GenericError', `Property '${property}' not found`);
    },
  });
  const controllers: Controllers = new Map();
  const found: QmpDiskQueues[] = [];
  for (const disk of disks) found.push(await readDiskQueues(qmp, disk, 1000, controllers));
  return { found, questions };
}

/** The result for a disk with these properties. */
async function queuesOf(
  context: TestContext,
  properties: Readonly<Record<string, unknown>>,
): Promise<QmpDiskQueues | undefined> {
  return (await readAll(context, { [DISK]: properties }, [DISK])).found[0];
}

test('a SCSI disk has the queues and the IOThread of its controller; the controller is read once', async (context) => {
  // As QEMU 7.2 answers for -device virtio-scsi-pci,id=s0,iothread=io0,num_queues=3 -device scsi-hd,id=hd0,bus=s0.0
  const disks = ['/machine/peripheral/hd0', '/machine/peripheral/hd1', '/machine/peripheral-anon/device[1]'];
  const bus = { parent_bus: '/machine/peripheral/s0/virtio-backend/s0.0' };
  const { found, questions } = await readAll(
    context,
    {
      [disks[0] ?? '']: bus,
      [disks[1] ?? '']: bus,
      [disks[2] ?? '']: { parent_bus: '/machine/peripheral-anon/device[0]/virtio-backend/scsi.0' },
      '/machine/peripheral/s0': { num_queues: 3, iothread: '/objects/io0' },
      '/machine/peripheral-anon/device[0]': { num_queues: 1, iothread: '' },
    },
    disks,
  );
  const served = { queues: 3, hasIothread: true, iothread: 'io0', mapping: [] };
  assert.deepEqual(found, [served, served, { ...served, queues: 1, iothread: undefined }]);
  assert.equal(questions, 3 * disks.length + 3 * 2);
});

test('a disk on IDE has no IOThread and no queues of virtio', async (context) => {
  const ide = { parent_bus: '/machine/unattached/device[18]/ide.1' };
  assert.deepEqual(await queuesOf(context, ide), NOTHING);
  const lsi = { parent_bus: '/machine/peripheral/lsi/scsi.0' };
  assert.deepEqual((await readAll(context, { [DISK]: lsi }, [DISK])).found, [NOTHING]);
});

test('a disk with its own IOThread, as reported by QEMU 7.2', async (context) => {
  const properties = { 'num-queues': 4, iothread: '/objects/io0' };
  assert.deepEqual(await queuesOf(context, properties), {
    queues: 4,
    hasIothread: true,
    iothread: 'io0',
    mapping: [],
  });
});

test('a disk whose queues are spread over IOThreads, as reported by QEMU 9', async (context) => {
  const mapping = [{ iothread: 'io0', vqs: [0, 2] }, { iothread: 'io1' }];
  assert.deepEqual(
    await queuesOf(context, { 'num-queues': 3, iothread: '', 'iothread-vq-mapping': mapping }),
    {
      queues: 3,
      hasIothread: true,
      iothread: undefined,
      mapping: [
        { iothread: 'io0', queues: [0, 2] },
        { iothread: 'io1', queues: [] },
      ],
    },
  );
});

test('a device without such properties has none of them', async (context) => {
  assert.deepEqual(await queuesOf(context, {}), NOTHING);
});

test('properties of another type, or out of range, are ignored', async (context) => {
  for (const bad of [null, -1, 'x'.repeat(1000), 1e9, [7], [{ iothread: 7 }], { a: 1 }])
    assert.deepEqual(
      await queuesOf(context, { 'num-queues': bad, iothread: bad, 'iothread-vq-mapping': bad }),
      NOTHING,
    );
  const wide = Array(1025).fill({ iothread: 'io0' });
  assert.deepEqual(await queuesOf(context, { 'num-queues': 1025, 'iothread-vq-mapping': wide }), NOTHING);
});

test('a broken connection is not mistaken for a missing property', async (context) => {
  const { qmp } = await connected(context, {}, CLOSES);
  await assert.rejects(readDiskQueues(qmp, DISK, 1000, new Map()), { kind: 'vanished' });
});
