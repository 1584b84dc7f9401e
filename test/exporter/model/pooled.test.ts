import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PooledSum, type ThreadCounters, ThreadPool } from '../../../exporter/model/pooled.ts';

const NOTHING: ThreadCounters = {
  schedstat: undefined,
  cpu: undefined,
  switches: undefined,
  migrations: undefined,
};
const run = (run: number) => ({ ...NOTHING, schedstat: { run, wait: 0, timeslices: 0 } });
const sumOf = (pool: ThreadPool, alive: [string, ThreadCounters][]): number | undefined =>
  pool.update(new Map(alive)).schedstat?.run;

test('the sum over workers keeps the counts of ended workers', () => {
  const pool = new ThreadPool();
  assert.equal(
    sumOf(pool, [
      ['1:1', run(10)],
      ['2:1', run(5)],
    ]),
    15,
  );
  assert.equal(sumOf(pool, [['2:1', run(6)]]), 16);
  const reused = sumOf(pool, [
    ['2:1', run(6)],
    ['1:9', run(1)],
  ]);
  assert.equal(reused, 17, 'a reused tid is another thread');
  assert.equal(sumOf(pool, []), 17);
});

test('a worker that cannot be read stays in the sum with its last counts', () => {
  const pool = new ThreadPool();
  assert.equal(
    sumOf(pool, [
      ['1:1', run(10)],
      ['2:1', run(5)],
    ]),
    15,
  );
  assert.equal(
    sumOf(pool, [
      ['1:1', NOTHING],
      ['2:1', run(6)],
    ]),
    16,
  );
  assert.equal(
    sumOf(pool, [
      ['1:1', run(12)],
      ['2:1', run(6)],
    ]),
    18,
  );
  assert.equal(sumOf(pool, [['1:1', NOTHING]]), 18, 'one ends while the other cannot be read');
});

test('a sum with a worker that was never read is unknown, and values of other files are not', () => {
  const pool = new ThreadPool();
  const alive = new Map<string, ThreadCounters>([
    ['1:1', { ...run(10), migrations: 3 }],
    ['2:1', { ...NOTHING, migrations: 4 }],
  ]);
  assert.deepEqual(pool.update(alive), { ...NOTHING, migrations: 7 });
  assert.equal(
    sumOf(pool, [
      ['1:1', run(10)],
      ['2:1', run(1)],
    ]),
    11,
  );
});

test('the sum never falls, whichever workers come, go or cannot be read', () => {
  const worker = fc.option(fc.nat(5), { nil: undefined });
  fc.assert(
    fc.property(fc.array(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), worker)), (scrapes) => {
      const pool = new PooledSum(['x']);
      const had = new Map<string, number>();
      let highest = 0;
      for (const scrape of scrapes) {
        const alive = new Map(
          Object.entries(scrape).map(([key, grown]) => {
            if (grown === undefined) return [key, undefined] as const;
            had.set(key, (had.get(key) ?? 0) + grown);
            return [key, { x: had.get(key) ?? 0 }] as const;
          }),
        );
        for (const key of had.keys()) if (!alive.has(key)) had.delete(key);
        const sum = pool.update(alive)?.x;
        if (sum === undefined) continue;
        assert.ok(sum >= highest, `${sum} after ${highest}`);
        highest = sum;
      }
    }),
  );
});
