import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { quantileOf } from '../../../exporter/compare/quantile.ts';

const BOUNDS = [0.001, 0.002, 0.004, Number.POSITIVE_INFINITY];

test('a quantile is linear within its bucket', () => {
  assert.equal(quantileOf(0.5, BOUNDS, [10, 20, 20, 20]), 0.001);
  assert.equal(quantileOf(0.75, BOUNDS, [10, 20, 20, 20]), 0.0015);
  assert.equal(quantileOf(0.05, BOUNDS, [10, 10, 10, 10]), 0.000_05);
  assert.equal(quantileOf(0, BOUNDS, [0, 10, 10, 10]), 0.001, 'an empty bucket has its upper bound');
});

test('above the last bound only the bound is known', () => {
  assert.equal(quantileOf(0.99, BOUNDS, [1, 1, 1, 10]), 0.004);
  assert.ok(Number.isNaN(quantileOf(0.5, [Number.POSITIVE_INFINITY], [10])));
});

test('without observations there is no quantile', () => {
  for (const counts of [[], [0, 0, 0, 0], [Number.NaN]])
    assert.ok(Number.isNaN(quantileOf(0.5, BOUNDS, counts)));
});

test('a higher quantile is never lower', () => {
  const counts = fc
    .array(fc.nat(1000), { minLength: 4, maxLength: 4 })
    .map((each) => each.map((_, i) => each.slice(0, i + 1).reduce((sum, count) => sum + count, 0)));
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(counts, share, share, (cumulative, a, b) => {
      fc.pre(cumulative.at(-1) !== 0);
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      const below = quantileOf(low, BOUNDS, cumulative);
      assert.ok(below <= quantileOf(high, BOUNDS, cumulative) + 1e-12, `${low} ${high}`);
    }),
  );
});
