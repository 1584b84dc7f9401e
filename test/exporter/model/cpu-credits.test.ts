import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CpuCredits } from '../../../exporter/model/cpu-credits.ts';

const count = (value: number): ReadonlyMap<string, number> => new Map([['C1', value]]);
const owners = (...keys: string[]): ReadonlySet<string> => new Set(keys);

test('the growth of a CPU is credited to the owners at both readings', () => {
  const credits = new CpuCredits();
  credits.take(0, owners('a', 'b'), count(10));
  credits.take(0, owners('a', 'c'), count(15));
  credits.take(0, owners('a', 'c'), count(16));
  assert.deepEqual(
    ['a', 'b', 'c'].map((owner) => credits.of(owner).get('C1')),
    [6, 0, 1],
  );
});

test('a CPU without an owner for a time starts again, and an owner that ended is forgotten', () => {
  const credits = new CpuCredits();
  credits.take(0, owners('a'), count(10));
  credits.keep(owners('a'), new Set());
  credits.take(0, owners('a'), count(100));
  assert.equal(credits.of('a').get('C1'), 0);
  credits.keep(owners(), new Set([0]));
  assert.equal(credits.of('a').size, 0);
});

test('no sum falls, whatever the counters do', () => {
  const reading = fc.record({
    cpu: fc.nat(3),
    who: fc.subarray(['a', 'b', 'c']),
    value: fc.nat(1000),
  });
  fc.assert(
    fc.property(fc.array(reading), (readings) => {
      const credits = new CpuCredits();
      let before = 0;
      for (const { cpu, who, value } of readings) {
        credits.take(cpu, owners(...who), count(value));
        const now = credits.of('a').get('C1') ?? 0;
        assert.ok(now >= before);
        before = now;
      }
    }),
  );
});
