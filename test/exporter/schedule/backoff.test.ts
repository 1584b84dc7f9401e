import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../../../exporter/schedule/backoff.ts';

test('the wait doubles with each failure up to the limit, and a success ends it', () => {
  let now = 1000;
  const backoff = new Backoff(10, 40, () => now);
  const wait = (): number => {
    const start = now;
    backoff.failed();
    while (!backoff.isOver) now++;
    return now - start;
  };
  assert.ok(backoff.isOver);
  assert.deepEqual([wait(), wait(), wait(), wait()], [10, 20, 40, 40]);
  backoff.failed();
  backoff.succeeded();
  assert.ok(backoff.isOver);
  assert.equal(wait(), 10);
});
