import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LatencyWindow } from '../../../../exporter/page/browser/latency.ts';
import { between, merged, quantile } from '../../../../exporter/page/browser/quantiles.ts';
import type { LiveHistogram } from '../../../../exporter/page/live.ts';

const histogram = (counts: readonly number[], sum = 0): LiveHistogram => {
  let total = 0;
  const buckets = counts.map((count, i): [number | null, number] => {
    total += count;
    return [i === counts.length - 1 ? null : Number(`1e${i - 6}`), total];
  });
  return { buckets, count: total, sum };
};

test('the difference of two histograms, by bucket', () => {
  const delta = between(histogram([1, 2, 3], 1), histogram([1, 4, 6], 3));
  assert.deepEqual(delta, {
    bounds: [1e-6, 1e-5, Number.POSITIVE_INFINITY],
    counts: [0, 2, 3],
    count: 5,
    sum: 2,
  });
  assert.equal(between(histogram([5]), histogram([4])), undefined);
});

test('a new bucket had a count of 0 before', () => {
  const before: LiveHistogram = {
    buckets: [
      [1, 4],
      [null, 6],
    ],
    count: 6,
    sum: 0,
  };
  const now: LiveHistogram = {
    buckets: [
      [1, 5],
      [2, 8],
      [null, 11],
    ],
    count: 11,
    sum: 0,
  };
  assert.deepEqual(between(before, now)?.counts, [1, 3, 1]);
});

test('quantiles are those of PromQL', () => {
  const all = between(undefined, {
    buckets: [
      [1, 10],
      [2, 20],
      [null, 20],
    ],
    count: 20,
    sum: 0,
  });
  assert.ok(all);
  assert.equal(quantile(all, 0.5), 1);
  assert.equal(quantile(all, 0.75), 1.5);
  assert.equal(quantile(all, 1), 2);
  const open = between(undefined, {
    buckets: [
      [1, 1],
      [null, 4],
    ],
    count: 4,
    sum: 0,
  });
  assert.ok(open);
  assert.equal(quantile(open, 0.99), 1);
  assert.equal(quantile({ ...open, counts: [0, 0] }, 0.5), undefined);
});

test('a quantile lies within the bounds and grows with q, for any counts', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1000), { minLength: 2, maxLength: 12 }), (counts) => {
      const all = between(undefined, histogram(counts));
      assert.ok(all);
      const found = [0.1, 0.5, 0.9, 0.99].map((q) => quantile(all, q));
      if (counts.every((count) => count === 0)) return assert.deepEqual(new Set(found), new Set([undefined]));
      for (const [i, value] of found.entries())
        assert.ok(value !== undefined && value >= (found[i - 1] ?? 0));
      return undefined;
    }),
  );
});

test('several reasons are merged', () => {
  const all = merged([
    { bounds: [1, 2], counts: [1, 2], count: 3, sum: 4 },
    { bounds: [2, 3], counts: [5, 6], count: 11, sum: 6 },
  ]);
  assert.deepEqual(all, { bounds: [1, 2, 3], counts: [1, 7, 6], count: 14, sum: 10 });
});

test('latency covers the last 30 s and excludes idle exits', () => {
  const window = new LatencyWindow();
  const at = (seconds: number, slow: number): void =>
    window.take(seconds * 1000, {
      EPT_MISCONFIG: histogram([10 * seconds, slow, 0], seconds),
      HLT: histogram([0, 0, seconds]),
    });
  at(0, 0);
  assert.deepEqual(window.quantiles(), { p50: undefined, p90: undefined, p99: undefined });
  for (let seconds = 1; seconds <= 100; seconds++) at(seconds, 0);
  const [top, idle] = window.byReason();
  assert.deepEqual([top?.reason, top?.count, top?.mean], ['EPT_MISCONFIG', 300, 0.1]);
  assert.deepEqual([idle?.reason, idle?.count], ['HLT', 30]);
  const { p99 } = window.quantiles();
  assert.ok(p99 !== undefined && p99 <= 1e-6);
});
