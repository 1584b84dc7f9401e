import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type LabelList, Samples } from '../../../exporter/metrics/samples.ts';

type Added = readonly [labels: string, value: number];

function filled(added: readonly Added[], before?: LabelList, suffix = ''): Samples {
  const samples = new Samples(before);
  for (const [labels, value] of added) {
    if (suffix === '') samples.push(labels, value);
    else samples.pushWithSuffix(suffix, labels, value);
  }
  return samples;
}

const anyAdded = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.double()), { maxLength: 40 });

test('samples are the added ones, whatever the previous collection had, and its lists stay unchanged', () => {
  fc.assert(
    fc.property(anyAdded, anyAdded, fc.constantFrom('', '_count'), (first, second, suffix) => {
      const before = filled(first, undefined, suffix).lists;
      const kept = structuredClone(before);
      const { labels, suffixes, values } = filled(second, before, suffix).lists;
      assert.deepEqual(
        labels,
        second.map(([each]) => each),
      );
      assert.deepEqual(
        [...values],
        second.map(([, value]) => value),
      );
      assert.deepEqual(suffixes, suffix === '' ? [] : second.map(() => suffix));
      assert.deepEqual(before, kept);
    }),
  );
});

test('the same labels are the same list', () => {
  const before = filled([
    ['a', 1],
    ['b', 2],
  ]).lists;
  const after = filled(
    [
      ['a', 3],
      ['b', 4],
    ],
    before,
  ).lists;
  assert.equal(after.labels, before.labels);
  assert.deepEqual([...after.values], [3, 4]);
});

test('another suffix of the same labels is another list', () => {
  const before = filled([['a', 1]], undefined, '_sum').lists;
  const after = filled([['a', 1]], before, '_count').lists;
  assert.deepEqual([before.suffixes, after.suffixes], [['_sum'], ['_count']]);
});

test('a copy and its original change apart', () => {
  const before = filled([
    ['a', 1],
    ['b', 2],
  ]).lists;
  const samples = filled([['a', 3]], before);
  const copy = samples.copy();
  samples.push('b', 4);
  copy.push('c', 5);
  assert.deepEqual(samples.lists.labels, ['a', 'b']);
  assert.deepEqual(copy.lists.labels, ['a', 'c']);
  assert.deepEqual([...copy.lists.values], [3, 5]);
});

test('an entity is kept as a whole, and the previous lists stay unchanged', () => {
  const samples = new Samples();
  for (const vm of ['a', 'b']) {
    samples.pushWithSuffix('_bucket', vm, 1);
    samples.pushWithSuffix('_count', vm, 2);
  }
  const before = samples.lists;
  samples.keep((labels, size) => {
    assert.equal(size, 2);
    return labels === 'b';
  });
  const { labels, suffixes, values } = samples.lists;
  assert.deepEqual(
    [labels, suffixes, [...values]],
    [
      ['b', 'b'],
      ['_bucket', '_count'],
      [1, 2],
    ],
  );
  assert.deepEqual(before.labels, ['a', 'a', 'b', 'b']);
});
