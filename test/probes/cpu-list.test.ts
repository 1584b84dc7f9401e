import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countCpuList, formatCpuList, parseCpuList } from '../../probes/cpu-list.ts';
import { SourceError } from '../../probes/errors.ts';
import { captured } from '../../testing/captured.ts';
import { outcome, testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };
const cpus = fc
  .uniqueArray(fc.integer({ min: 0, max: 65_535 }), { maxLength: 60 })
  .map((list) => list.sort((a, b) => a - b));

test('a CPU list of a real host is read', () => {
  assert.deepEqual(parseCpuList(captured('sys/devices/system/cpu/online')), [0, 1]);
  assert.deepEqual(parseCpuList(captured('sys/devices/system/cpu/isolated')), []);
  assert.deepEqual(parseCpuList(captured('sys/devices/virtual/block/nullb0/mq/2/cpu_list')), [0, 1]);
});

test('ranges, single CPUs, disorder and overlap come out ascending and unique', () => {
  assert.deepEqual(parseCpuList('0-3,8\n'), [0, 1, 2, 3, 8]);
  assert.deepEqual(parseCpuList('8,2-4,3-5,0'), [0, 2, 3, 4, 5, 8]);
  assert.deepEqual(parseCpuList('65535'), [65_535]);
  assert.deepEqual(parseCpuList(''), []);
});

for (const text of [
  ...[
    '-',
    '0-',
    '-3',
    '3-1',
    '0,',
    ',0',
    '0,,1',
    'x',
    '0x1',
    '0-3-5',
    '1.5',
    '0 1',
    '^2',
    '0-7:2/4',
    '65536',
    '0-65536',
  ],
  ...['99999999999999999999999', '9'.repeat(400), `0-${'9'.repeat(400)}`, '-1', '1\0'],
]) {
  test(`${JSON.stringify(text.slice(0, 30))} is not a CPU list`, () => {
    assert.throws(() => parseCpuList(text), malformed);
    assert.throws(() => countCpuList(text), malformed);
  });
}

test('a list is counted without being made', () => {
  assert.equal(countCpuList('0-3,8'), 5);
  assert.equal(countCpuList('0-65535'), 65_536);
  assert.equal(countCpuList(''), 0);
});

test('counting refuses a list that the kernel would not write, rather than count a CPU twice', () => {
  assert.throws(() => countCpuList('0-3,2'), malformed);
  assert.throws(() => countCpuList('4,2'), malformed);
  assert.throws(() => countCpuList('2,2'), malformed);
});

test('what is formatted is read back the same, and counted the same', () => {
  fc.assert(
    fc.property(cpus, (list) => {
      const text = formatCpuList(list);
      assert.deepEqual(parseCpuList(text), list);
      assert.deepEqual(parseCpuList(`${text}\n`), list);
      assert.equal(countCpuList(text), list.length);
    }),
  );
  assert.equal(formatCpuList([0, 1, 2, 8]), '0-2,8');
  assert.equal(formatCpuList([]), '');
});

test('counting agrees with parsing on whatever both accept', () => {
  const text = fc
    .array(fc.constantFrom(...'0123456789,- '), { maxLength: 12 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (list) => {
      const counted = outcome(countCpuList, list);
      if (counted !== undefined) assert.equal(counted, parseCpuList(list).length);
    }),
    { numRuns: 2000 },
  );
});

test('a mebibyte of overlapping ranges costs no more than the CPUs in it', () => {
  const list = Array.from({ length: 131_072 }, () => '0-65535').join(',');
  assert.equal(parseCpuList(list).length, 65_536);
});

test('an error quotes no more than a line of the list', () => {
  assert.throws(
    () => parseCpuList(`x${'0,'.repeat(1000)}`),
    (error) => error instanceof SourceError && error.message.length < 200,
  );
});

testRobustness('parseCpuList', parseCpuList, ['0-3,8,10-12,65535\n', '0, 1\n']);
testRobustness('countCpuList', countCpuList, ['0-3,8,10-12,65535']);
