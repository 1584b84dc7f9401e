import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedRow } from '../../probes/shared-rows.ts';

const names = { all: ['a', 'b', 'c'], positions: new Map([['a', 0], ['b', 1], ['c', 2]]) }; // biome-ignore format: short
const numbers = Float64Array.of(1, 2, 3, 4, 5);

test('a row reads its own part of the numbers, as a Map would', () => {
  const row = new SharedRow(names, numbers, 2, 3);
  const map = new Map([['a', 3], ['b', 4], ['c', 5]]); // biome-ignore format: short
  assert.deepEqual([...row], [...map]);
  assert.deepEqual([...row.entries()], [...map.entries()]);
  assert.deepEqual([...row.keys()], [...map.keys()]);
  assert.deepEqual([...row.values()], [...map.values()]);
  assert.deepEqual([row.size, row.get('b'), row.has('c'), row.has('x')], [3, 4, true, false]);
  const seen: [string, number][] = [];
  row.forEach((value, name, whole) => {
    seen.push([name, value]);
    assert.equal(whole, row);
  });
  assert.deepEqual(seen, [...map]);
});

test('a row with fewer numbers lacks the last names', () => {
  const row = new SharedRow(names, numbers, 0, 1);
  assert.deepEqual([...row], [['a', 1]]);
  assert.deepEqual([...row.keys()], ['a']);
  assert.deepEqual([...row.values()], [1]);
  assert.deepEqual([row.get('b'), row.has('b')], [undefined, false]);
});
