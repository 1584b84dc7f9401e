import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_COUNTERS, ThreadPool } from '../../../exporter/model/pooled.ts';

test('the sum over workers keeps what ended workers had', () => {
  const pool = new ThreadPool();
  const run = (run: number) => ({ ...NO_COUNTERS, run });
  assert.equal(
    pool.update(
      new Map([
        ['1:1', run(10)],
        ['2:1', run(5)],
      ]),
    ).run,
    15,
  );
  assert.equal(pool.update(new Map([['2:1', run(6)]])).run, 16);
  assert.equal(
    pool.update(
      new Map([
        ['2:1', run(6)],
        ['1:9', run(1)],
      ]),
    ).run,
    17,
    'a reused tid is another thread',
  );
  assert.equal(pool.update(new Map()).run, 17);
});
