import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SourceError } from '../../probes/errors.ts';
import { inTime } from '../../probes/in-time.ts';

const late = (): SourceError => new SourceError('timeout', '/x', 'late');
const HOUR = 3_600_000;

test('work that ends in time has its own result or error', async () => {
  assert.equal(await inTime(Promise.resolve(7), HOUR, late), 7);
  await assert.rejects(inTime(Promise.reject(new TypeError('own')), HOUR, late), TypeError);
});

test('work that is late is an error, and its own error later is nobody’s', async () => {
  let fail: (error: Error) => void = () => undefined;
  const work = new Promise<never>((_, reject) => {
    fail = reject;
  });
  await assert.rejects(inTime(work, 1, late), { kind: 'timeout' });
  fail(new Error('later'));
  await new Promise(setImmediate);
});
