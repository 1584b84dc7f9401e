import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDiskstats } from '../../probes/proc-diskstats.ts';
import { captured } from '../../testing/captured.ts';
import { testRobustness } from './robustness.ts';

const TEXT = captured('proc/diskstats');

test('the device number of each disk is found, a hidden NVMe path included', () => {
  const numbers = parseDiskstats(TEXT);
  assert.deepEqual(numbers.get('nvme0c0n1'), { major: 259, minor: 0 });
  assert.deepEqual(numbers.get('nvme0n1'), { major: 259, minor: 1 });
  assert.deepEqual(numbers.get('loop0'), { major: 7, minor: 0 });
});

test('an empty list has no numbers; an invalid line is refused', () => {
  assert.equal(parseDiskstats('').size, 0);
  for (const text of ['nvme0n1 259 0 1', ' 259 x nvme0n1 1 2', ' 259 0']) {
    assert.throws(() => parseDiskstats(text), { name: 'SourceError', kind: 'malformed' });
  }
});

testRobustness('parseDiskstats', parseDiskstats, [TEXT]);
