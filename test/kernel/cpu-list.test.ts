import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cpuCountOf, cpusOf, formatCpuList } from '../../kernel/cpu-list.ts';
import { captured } from '../../testing/captured.ts';

const cpus = fc
  .uniqueArray(fc.integer({ min: 0, max: 65_535 }), { maxLength: 60 })
  .map((list) => list.sort((a, b) => a - b));

test('a CPU list of a real host is parsed', () => {
  assert.deepEqual(cpusOf(captured('sys/devices/system/cpu/online')), [0, 1]);
  assert.deepEqual(cpusOf(captured('sys/devices/system/cpu/isolated')), []);
  assert.deepEqual(cpusOf(captured('sys/devices/virtual/block/nullb0/mq/2/cpu_list')), [0, 1]);
});

test('the CPUs are ascending and unique, whatever the order and overlap of the ranges', () => {
  assert.deepEqual(cpusOf('0-3,8\n'), [0, 1, 2, 3, 8]);
  assert.deepEqual(cpusOf('8,2-4,3-5,0'), [0, 2, 3, 4, 5, 8]);
  assert.deepEqual(cpusOf('65535'), [65_535]);
  assert.deepEqual(cpusOf('7-7'), [7]);
  assert.deepEqual(cpusOf(''), []);
});

for (const text of [
  ['-', '0-', '-3', '3-1', '0,', ',0', '0,,1', 'x', '0x1', '0-3-5', '1.5', '0 1', '^2', '0-7:2/4'],
  ['65536', '0-65536', '9'.repeat(23), '9'.repeat(400), `0-${'9'.repeat(400)}`, '-1', '1\0'],
].flat()) {
  test(`${JSON.stringify(text.slice(0, 30))} is not a CPU list`, () => {
    assert.equal(cpusOf(text), undefined);
    assert.equal(cpuCountOf(text), undefined);
  });
}

test('the count of a list is the number of its CPUs', () => {
  assert.equal(cpuCountOf('0-3,8'), 5);
  assert.equal(cpuCountOf('0-65535'), 65_536);
  assert.equal(cpuCountOf(''), 0);
});

test('a list that names a CPU twice has no count', () => {
  assert.equal(cpuCountOf('0-3,2'), undefined);
  assert.equal(cpuCountOf('4,2'), undefined);
  assert.equal(cpuCountOf('2,2'), undefined);
});

test('parsing and counting invert formatting', () => {
  fc.assert(
    fc.property(cpus, (list) => {
      const text = formatCpuList(list);
      assert.deepEqual(cpusOf(text), list);
      assert.deepEqual(cpusOf(`${text}\n`), list);
      assert.equal(cpuCountOf(text), list.length);
    }),
  );
  assert.equal(formatCpuList([0, 1, 2, 8]), '0-2,8');
  assert.equal(formatCpuList([]), '');
});

test('the count equals the number of parsed CPUs', () => {
  const text = fc
    .array(fc.constantFrom(...'0123456789,- '), { maxLength: 12 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (list) => {
      const count = cpuCountOf(list);
      if (count !== undefined) assert.equal(count, cpusOf(list)?.length);
    }),
    { numRuns: 2000 },
  );
});

test('a mebibyte of overlapping ranges gives each CPU once', () => {
  const list = Array.from({ length: 131_072 }, () => '0-65535').join(',');
  assert.equal(cpusOf(list)?.length, 65_536);
});
