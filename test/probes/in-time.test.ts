import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { test } from 'node:test';
import { SourceError } from '../../probes/errors.ts';
import { inPoolTime, inTime } from '../../probes/in-time.ts';

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

test('work in the thread pool is late only if a thread could have done it', async () => {
  const turn = (): Promise<unknown> => stat('/proc');
  const steps = async (): Promise<number> => {
    for (let i = 0; i < 8; i++) await turn();
    return 7;
  };
  assert.equal(await inPoolTime(steps(), 0, late, turn), 7);
  await assert.rejects(inPoolTime(Promise.reject(new TypeError('own')), HOUR, late, turn), TypeError);
  await assert.rejects(inPoolTime(new Promise(() => undefined), 1, late, turn), { kind: 'timeout' });
});
