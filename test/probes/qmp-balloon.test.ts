import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseBalloon } from '../../probes/qmp-balloon.ts';

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
