import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holm } from '../../../exporter/compare/statistics/holm.ts';

test('corrected p values are those of R', () => {
  // p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
  const corrected = holm([0.01, 0.04, 0.03, 0.005]).map((p) => Number(p.toFixed(6)));
  assert.deepEqual(corrected, [0.03, 0.06, 0.06, 0.02]);
  assert.deepEqual(holm([0.9, 0.8]), [1, 1]);
  assert.deepEqual(holm([]), []);
});
