import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathOf } from '../../../../exporter/page/browser/line-path.ts';

test('a line goes from 0 to its largest value, and ends at gaps', () => {
  assert.equal(pathOf([0, 5, null, 10, 10], 40, 22), 'M0.0 21.0L10.0 11.0M30.0 1.0L40.0 1.0');
  assert.equal(pathOf([0, 0], 40, 22), 'M0.0 21.0L40.0 21.0');
});

test('a single value is no line', () => {
  assert.equal(pathOf([], 40, 22), '');
  assert.equal(pathOf([null, 5, null], 40, 22), '');
});
