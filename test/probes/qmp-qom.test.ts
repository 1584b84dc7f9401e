import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type QmpDiskQueues, readDiskQueues } from '../../probes/qmp-qom.ts';
import { send } from '../support/qmp-server.ts';
import { connected } from './qmp-client.ts';

const NOTHING = { queues: undefined, iothread: undefined, mapping: [] };

/** What is read of a disk that has these properties. */
async function queuesOf(
  context: TestContext,
  properties: Readonly<Record<string, unknown>>,
): Promise<QmpDiskQueues> {
  const { qmp } = await connected(context, (socket, { arguments: args, id }) => {
    const { property } = args as { property: string };
    if (property in properties) send(socket, { return: properties[property], id });
    else send(socket, { error: { class: 'GenericError', desc: `Property '${property}' not found` }, id });
  });
  return readDiskQueues(qmp, '/machine/peripheral/vda', 1000);
}

test('a disk with an IOThread of its own, as QEMU 7.2 says it', async (context) => {
  const properties = { 'num-queues': 4, iothread: '/objects/io0' };
  assert.deepEqual(await queuesOf(context, properties), { queues: 4, iothread: 'io0', mapping: [] });
});

test('a disk whose queues are spread over IOThreads, as QEMU 9 says it', async (context) => {
  const mapping = [{ iothread: 'io0', vqs: [0, 2] }, { iothread: 'io1' }];
  assert.deepEqual(
    await queuesOf(context, { 'num-queues': 3, iothread: '', 'iothread-vq-mapping': mapping }),
    {
      queues: 3,
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

test('properties of another type, or beyond all measure, are none', async (context) => {
  for (const bad of [null, -1, 'x'.repeat(1000), 1e9, [7], [{ iothread: 7 }], { a: 1 }])
    assert.deepEqual(
      await queuesOf(context, { 'num-queues': bad, iothread: bad, 'iothread-vq-mapping': bad }),
      NOTHING,
    );
  const wide = Array(1025).fill({ iothread: 'io0' });
  assert.deepEqual(await queuesOf(context, { 'num-queues': 1025, 'iothread-vq-mapping': wide }), NOTHING);
});

test('a broken connection is not mistaken for a missing property', async (context) => {
  const { qmp } = await connected(context, (socket) => socket.end());
  await assert.rejects(readDiskQueues(qmp, '/machine/peripheral/vda', 1000), { kind: 'vanished' });
});
