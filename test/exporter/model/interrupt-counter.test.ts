import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InterruptCounter } from '../../../exporter/model/interrupt-counter.ts';

const RANGE = 2 ** 32;
const take = (counter: InterruptCounter, counts: Record<number, number>, line = '1'): number => {
  const cpus = Object.keys(counts).map(Number);
  counter.take(line, cpus, Float64Array.from(Object.values(counts)));
  return counter.total;
};

test('the growth of each CPU is credited over the end of its 32 bits', () => {
  const counter = new InterruptCounter();
  assert.equal(take(counter, { 0: RANGE - 10, 1: 5 }), RANGE - 5);
  assert.equal(take(counter, { 0: 20, 1: 6 }), RANGE - 5 + 30 + 1);
});

test('a CPU that goes offline and returns continues from its last count', () => {
  const counter = new InterruptCounter();
  take(counter, { 0: 100, 1: 1000, 300: 7 });
  assert.equal(take(counter, { 0: 110, 300: 7 }), 1117);
  assert.equal(take(counter, { 0: 110, 1: 1003, 300: 7 }), 1120);
});

test('an interrupt line that is set up again counts from 0, whichever column shows it', () => {
  const counter = new InterruptCounter();
  take(counter, { 0: 5_000_000, 1: RANGE - 1 });
  assert.equal(take(counter, { 0: 3, 1: 2 }), 5_000_000 + RANGE - 1 + 5);
});

test('a queue that gets another interrupt number keeps its count', () => {
  const counter = new InterruptCounter();
  take(counter, { 0: 100 }, '29');
  assert.equal(take(counter, { 0: 5 }, '57'), 105);
});

test('the total is correct, whichever CPUs are online', () => {
  const step = fc.record({
    grown: fc.array(fc.nat(2 ** 31 - 1), { minLength: 4, maxLength: 4 }),
    online: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  });
  const start = fc.array(fc.nat(RANGE - 1), { minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(start, fc.array(step), (first, steps) => {
      const counter = new InterruptCounter();
      const real = [...first];
      take(counter, { ...real });
      for (const { grown, online } of steps) {
        const columns: Record<number, number> = {};
        // An interrupt is counted on a CPU that is online.
        for (const [cpu, is] of online.entries()) {
          if (!is) continue;
          real[cpu] = (real[cpu] ?? 0) + (grown[cpu] ?? 0);
          columns[cpu] = (real[cpu] ?? 0) % RANGE;
        }
        take(counter, columns);
      }
      assert.equal(
        counter.total,
        real.reduce((sum, each) => sum + each, 0),
      );
    }),
  );
});
