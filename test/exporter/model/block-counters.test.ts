import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BlockCounters } from '../../../exporter/model/block-counters.ts';
import { CounterSet } from '../../../exporter/model/continued-counter.ts';
import { type BlockStat, parseBlockStat } from '../../../probes/sys-block-stat.ts';

const RANGE = 2 ** 32;
const NONE = parseBlockStat('0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n');
const stat = (fields: Partial<BlockStat>): BlockStat => ({ ...NONE, ...fields });
const counters = (): BlockCounters => new BlockCounters(new CounterSet());
const own = (counted: BlockCounters, fields: Partial<BlockStat>): BlockStat =>
  counted.take('own', new Map([['sda', stat(fields)]]));

test('milliseconds continue when they wrap at 2^32', () => {
  const counted = counters();
  own(counted, { reads: 1, readMs: RANGE - 10, weightedIoMs: 5 });
  const after = own(counted, { reads: 2, readMs: 20, weightedIoMs: 6 });
  assert.equal(after.readMs, RANGE + 20);
  assert.equal(after.weightedIoMs, 6);
  assert.equal(own(counted, { reads: 3, readMs: 10, weightedIoMs: 6 }).readMs, RANGE + 20, 'no wrap');
});

test('a replaced device is not taken for a wrap at 2^32, and no counter falls', () => {
  const counted = counters();
  own(counted, { reads: 1000, readMs: RANGE - 10 });
  const after = own(counted, { reads: 1, readMs: 3 });
  assert.deepEqual([after.reads, after.readMs], [1000, RANGE - 10]);
  assert.equal(own(counted, { reads: 2, readMs: 5 }).readMs, RANGE - 8);
});

test('a multipath disk continues from the sum of its paths, and the paths from the disk', () => {
  const counted = counters();
  const paths = (a: number, b?: number): number =>
    counted.take(
      'paths',
      new Map([
        ['nvme0c0n1', stat({ reads: a })],
        ...(b === undefined ? [] : [['nvme0c1n1', stat({ reads: b })] as const]),
      ]),
    ).reads;
  assert.equal(paths(10, 20), 30);
  assert.equal(paths(12), 32, 'a path that is gone keeps what it had');
  assert.equal(own(counted, { reads: 1 }).reads, 32);
  assert.equal(own(counted, { reads: 5 }).reads, 36);
  assert.equal(own(counted, { reads: 5, inFlight: 7 }).inFlight, 7);
});

test('for any 64-bit activity of the device, its milliseconds are reported', () => {
  fc.assert(
    fc.property(fc.nat(RANGE - 1), fc.array(fc.nat(2 ** 31 - 1)), (start, steps) => {
      const counted = counters();
      let ms = start;
      let reads = 1;
      own(counted, { reads, writeMs: ms });
      for (const grown of steps) {
        ms += grown;
        reads++;
        assert.equal(own(counted, { reads, writeMs: ms % RANGE }).writeMs, ms);
      }
    }),
  );
});
