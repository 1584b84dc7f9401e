import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SourceError } from '../../probes/errors.ts';
import { parseBalloon, readBalloon } from '../../probes/qmp-balloon.ts';
import type { QmpConnection } from '../../probes/qmp-connection.ts';

test('the memory that the guest has, as QEMU 7.2 and 10.0 answer', () => {
  assert.equal(parseBalloon({ actual: 16_777_216 }), 16_777_216);
  assert.equal(parseBalloon({ actual: 0 }), 0);
});

test('anything else is malformed', () => {
  for (const bad of [null, {}, [], { actual: -1 }, { actual: '1' }, { actual: null }])
    assert.throws(() => parseBalloon(bad), { name: 'SourceError', kind: 'malformed' });
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      try {
        assert.ok(parseBalloon(value) >= 0);
      } catch (error) {
        assert.equal((error as { kind?: unknown }).kind, 'malformed');
      }
    }),
  );
});

test('a QEMU without a balloon refuses the command; one that is gone is an error', async () => {
  const answering = (answer: () => unknown) =>
    readBalloon({ execute: async () => answer() } as unknown as QmpConnection, 1000);
  assert.equal(await answering(() => ({ actual: 4096 })), 4096);
  assert.equal(await answering(() => ({})), undefined);
  for (const kind of ['absent', 'failed', 'malformed'] as const)
    assert.equal(
      await answering(() => {
        throw new SourceError(kind, '/run/qmp', 'no balloon');
      }),
      undefined,
    );
  const gone = answering(() => {
    throw new SourceError('vanished', '/run/qmp', 'closed');
  });
  await assert.rejects(gone, { name: 'SourceError', kind: 'vanished' });
});
