import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countCpuList, parseCpuList } from '../../probes/cpu-list.ts';
import { SourceError } from '../../probes/errors.ts';
import { testRobustness } from './robustness.ts';

test('a CPU list is parsed and counted', () => {
  assert.deepEqual(parseCpuList('0-3,8\n'), [0, 1, 2, 3, 8]);
  assert.equal(countCpuList('0-3,8'), 5);
});

test('any other text is a malformed source', () => {
  const malformed = { name: 'SourceError', kind: 'malformed' };
  assert.throws(() => parseCpuList('0-'), malformed);
  assert.throws(() => countCpuList('0-'), malformed);
});

test('an error quotes at most one line of the list', () => {
  assert.throws(
    () => parseCpuList(`x${'0,'.repeat(1000)}`),
    (error) => error instanceof SourceError && error.message.length < 200,
  );
});

testRobustness('parseCpuList', parseCpuList, ['0-3,8,10-12,65535\n', '0, 1\n']);
testRobustness('countCpuList', countCpuList, ['0-3,8,10-12,65535']);
