import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addTo, append, getOrInsert, groupBy } from '../../kernel/maps.ts';

test('getOrInsert makes a value once for each key', () => {
  const entries = new Map<string, string[]>();
  const first = getOrInsert(entries, 'a', () => ['made']);
  assert.equal(
    getOrInsert(entries, 'a', () => assert.fail('made again')),
    first,
  );
  assert.deepEqual([...entries], [['a', ['made']]]);
});

test('append, addTo and groupBy keep the order of the first appearance', () => {
  const lists = new Map<string, number[]>();
  append(lists, 'b', 1);
  append(lists, 'a', 2, 3);
  append(lists, 'b', 4);
  assert.deepEqual(
    [...lists],
    [
      ['b', [1, 4]],
      ['a', [2, 3]],
    ],
  );
  assert.deepEqual([...addTo(addTo(new Map(), 'a', 2), 'a', 3)], [['a', 5]]);
  const groups = groupBy([3, 1, 2], (value) => value % 2);
  assert.deepEqual(
    [...groups],
    [
      [1, [3, 1]],
      [0, [2]],
    ],
  );
});
