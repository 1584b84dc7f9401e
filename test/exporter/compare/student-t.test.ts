import assert from 'node:assert/strict';
import { test } from 'node:test';
import { criticalT, twoSidedP } from '../../../exporter/compare/statistics/student-t.ts';

// qt(0.975, df) of R.
const CRITICAL = [
  [1, 12.706205],
  [4, 2.776445],
  [15.3, 2.127815],
  [30, 2.042272],
  [2000, 1.961151],
] as const;

test('critical values are those of R', () => {
  for (const [df, t] of CRITICAL) assert.ok(Math.abs(criticalT(0.95, df) - t) < 1e-6, `df ${df}`);
});

test('p values are those of R, also in the tails', () => {
  // 2 * pt(-t, df)
  for (const [t, df, p] of [
    [3, 15.3, 0.008816659],
    [0, 7, 1],
    [-8, 60, 4.900266e-11],
  ] as const)
    assert.ok(Math.abs(twoSidedP(t, df) / p - 1) < 1e-6, `t ${t}: ${twoSidedP(t, df)}`);
});
