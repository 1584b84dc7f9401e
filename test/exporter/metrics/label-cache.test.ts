import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LabelCache } from '../../../exporter/metrics/label-cache.ts';
import { type LabelValue, labelBlock } from '../../../exporter/metrics/labels.ts';

test('a block from the cache is the block that would be formatted, for any labels in any order', () => {
  const value: fc.Arbitrary<LabelValue> = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.integer(),
    fc.boolean(),
    fc.constant(undefined),
  );
  const labels = fc.dictionary(fc.constantFrom('vm', 'vcpu', 'thread', 'le'), value);
  const cache = new LabelCache();
  fc.assert(fc.property(labels, (each) => assert.equal(cache.of(each), labelBlock(each))));
});

test('values whose concatenations are equal have separate blocks', () => {
  const cache = new LabelCache();
  const blocks: string[] = [
    cache.of({ vm: 'a', role: 'b' }),
    cache.of({ vm: 'a,role="b"', role: '' }),
    cache.of({ vm: 'a', thread: 'b' }),
    cache.of({ vm: 1, role: 'b' }),
  ];
  assert.equal(new Set(blocks).size, 4);
  assert.equal(cache.of({ vm: 'a', role: 'b' }), 'vm="a",role="b"');
});

test('a bucket has its bound as the last label', () => {
  const cache = new LabelCache();
  const block = cache.of({ vm: 'web' });
  const bounds = [0.000_001_024, 0.5, Number.POSITIVE_INFINITY];
  const expected = ['vm="web",le="0.000001024"', 'vm="web",le="0.5"', 'vm="web",le="+Inf"'];
  for (let i = 0; i < 2; i++)
    assert.deepEqual(
      bounds.map((le) => cache.bucket(block, le)),
      expected,
    );
});

test('VMs that come and go do not fill the cache', () => {
  const cache = new LabelCache();
  let most = 0;
  for (let i = 0; i < 50_000; i++) {
    cache.of({ vm: `instance-${i}`, technique: 'polling', state: 'in_force' });
    if (i % 100 === 0) cache.trim(100);
    most = Math.max(most, cache.size);
  }
  assert.ok(most > 10_000 && most < 11_000, `${most} blocks`);
});
