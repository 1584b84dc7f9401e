import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  costRatio,
  dutyCycleOf,
  LONGEST_PERIOD,
  LONGEST_SHARE,
  type Plan,
  plansFor,
  sharesFor,
} from '../../../exporter/trace/budget.ts';

const COST = { eventNs: 90, sampleNs: 110 };
/** Objects with a program each. */
const plans = (budget: number, ...rates: readonly (readonly number[])[]): Plan[] =>
  plansFor(
    rates.map((each) => [{ cost: COST, rates: each }]),
    budget,
  );
const periods = (...of: Parameters<typeof plans>): number[] =>
  plans(...of).map(({ periods: [first] }) => first ?? 0);
const shares = (...of: Parameters<typeof plans>): number[] => plans(...of).map(({ share }) => share);

test('with few events every event counts, and the busiest CPU decides', () => {
  assert.deepEqual(periods(0.01, [10_000, 0], [100, 100]), [1, 1]);
  assert.deepEqual(periods(0.01, [10_000, 90_000]), [8]);
  assert.deepEqual(periods(0.01), []);
});

test('a program with few events stays exact beside one with many', () => {
  assert.deepEqual(periods(0.01, [80_000], [2000]), [4, 1]);
});

test('only if leaving events out exceeds the budget, an object counts for a part of the time', () => {
  assert.deepEqual(shares(0.01, [100_000]), [1]);
  assert.deepEqual(plans(0.01, [101_000]), [{ share: 2, periods: [2] }]);
  assert.deepEqual(plans(0.01, [1e6]), [{ share: 16, periods: [2] }]);
  assert.deepEqual(shares(0.01, [1e6], [1000]), [16, 1], 'the one with few events counts all the time');
  assert.deepEqual(plans(0.001, [1e9]), [{ share: LONGEST_SHARE, periods: [LONGEST_PERIOD] }]);
});

test('with the whole CPU as the budget every event counts, however much it costs', () => {
  assert.deepEqual(plans(1, [1e9]), [{ share: 1, periods: [1] }]);
  assert.deepEqual(sharesFor([1e9, 10], 1), [1, 1]);
});

test('the programs of an object share its windows, and each has a period of its own', () => {
  const programs = [1e6, 1000].map((rate) => ({ cost: COST, rates: [rate] }));
  assert.deepEqual(plansFor([programs], 0.01), [{ share: 16, periods: [2, 1] }]);
});

test('windows of hist triggers are open for a share of the time', () => {
  assert.deepEqual([0.01, 0.05, 0.1, 1].map(dutyCycleOf), [0.1, 0.5, 1, 1]);
});

const rates = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 2, maxLength: 2 });
const cost = fc.record({
  eventNs: fc.integer({ min: 1, max: 300 }),
  sampleNs: fc.integer({ min: 1, max: 900 }),
});
const programs = fc.array(fc.record({ cost, rates }), { minLength: 1, maxLength: 3 });
const loads = fc.array(programs, { minLength: 1, maxLength: 4 });
const budgets = fc.double({ min: 0.001, max: 1, noNaN: true });

test('property: tracing stays within the budget, except where nothing can be left out any more', () => {
  fc.assert(
    fc.property(loads, budgets, (all, budget) => {
      const found = plansFor(all, budget);
      const cut = (plan: (i: number) => Plan) =>
        costRatio(
          all.flatMap((each, i) =>
            each.map((load, j) => {
              const { share, periods: own } = plan(i);
              return { ...load, share, sampled: load.rates.map((rate) => rate / (own[j] ?? 1)) };
            }),
          ),
        );
      const factors = found.flatMap(({ share, periods: own }) => [share, ...own]);
      const isCapped = found.some(
        ({ share, periods: own }) => share === LONGEST_SHARE || own.includes(LONGEST_PERIOD),
      );
      if (!isCapped) assert.ok(cut((i) => found[i] ?? { share: 1, periods: [] }) <= budget * 1.000001);
      assert.ok(factors.every((factor) => factor >= 1 && Number.isInteger(Math.log2(factor))));
      // All events, if the budget has room for them.
      const [first] = found;
      if (all.length === 1 && all[0]?.length === 1 && cut(() => ({ share: 1, periods: [1] })) <= budget * 0.9)
        assert.deepEqual(first, { share: 1, periods: [1] });
    }),
  );
});

test('property: with a larger budget no object counts less of the time, and in all of it no program has a longer period', () => {
  fc.assert(
    fc.property(loads, budgets, (all, budget) => {
      const [small, large] = [plansFor(all, budget), plansFor(all, budget * 2)];
      assert.ok(large.every(({ share }, i) => share <= (small[i]?.share ?? 0)));
      if (small.some(({ share }) => share > 1)) return;
      for (const [i, plan] of large.entries())
        assert.ok(plan.periods.every((period, j) => period <= (small[i]?.periods[j] ?? 0)));
    }),
  );
});
