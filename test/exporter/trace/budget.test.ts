import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { costRatio, dutyCycleOf, LONGEST_PERIOD, periodsFor } from '../../../exporter/trace/budget.ts';

const COST = { eventNs: 90, sampleNs: 110 };
const periods = (budget: number, ...rates: readonly (readonly number[])[]): number[] =>
  periodsFor(
    rates.map((each) => ({ cost: COST, rates: each })),
    budget,
  );

test('with few events every event counts, and the busiest CPU decides', () => {
  assert.deepEqual(periods(0.01, [10_000, 0], [100, 100]), [1, 1]);
  assert.deepEqual(periods(0.01, [10_000, 90_000]), [8]);
  assert.deepEqual(periods(0.01), []);
});

test('a program with few events stays exact beside one with many', () => {
  assert.deepEqual(periods(0.01, [80_000], [2000]), [4, 1]);
});

test('if leaving events out exceeds the budget already, there is still a sample', () => {
  assert.deepEqual(periods(0.01, [1e6]), [128]);
  assert.deepEqual(periods(0.001, [1e9]), [LONGEST_PERIOD]);
  assert.deepEqual(periods(0.001, [1e9], [2e9], [3e9]), [LONGEST_PERIOD, LONGEST_PERIOD, LONGEST_PERIOD]);
});

test('windows of hist triggers are open for a share of the time', () => {
  assert.deepEqual([0.01, 0.05, 0.1, 1].map(dutyCycleOf), [0.1, 0.5, 1, 1]);
});

const rates = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 2, maxLength: 2 });
const cost = fc.record({
  eventNs: fc.integer({ min: 1, max: 300 }),
  sampleNs: fc.integer({ min: 1, max: 900 }),
});
const loads = fc.array(fc.record({ cost, rates }), { minLength: 1, maxLength: 6 });
const budgets = fc.double({ min: 0.001, max: 1, noNaN: true });

test('property: tracing stays within the budget, or nearly all of the cost is that of events that are left out', () => {
  fc.assert(
    fc.property(loads, budgets, (all, budget) => {
      const found = periodsFor(all, budget);
      const cut = (by: (i: number) => number) =>
        costRatio(all.map((load, i) => ({ ...load, sampled: load.rates.map((rate) => rate / by(i)) })));
      const floor = cut(() => Number.POSITIVE_INFINITY);
      const capped = found.includes(LONGEST_PERIOD);
      if (!capped) assert.ok(cut((i) => found[i] ?? 1) <= Math.max(budget, floor + budget / 10) * 1.000001);
      assert.ok(
        found.every(
          (period) => period >= 1 && period <= LONGEST_PERIOD && Number.isInteger(Math.log2(period)),
        ),
      );
      // All events, if the budget has room for them.
      if (cut(() => 1) <= budget && all.length === 1) assert.deepEqual(found, [1]);
    }),
  );
});

test('property: with a larger budget no program gets a longer period', () => {
  fc.assert(
    fc.property(loads, budgets, (all, budget) => {
      const [small, large] = [periodsFor(all, budget), periodsFor(all, budget * 2)];
      assert.ok(large.every((period, i) => period <= (small[i] ?? 0)));
    }),
  );
});
