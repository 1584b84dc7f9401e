import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBlockInflight, readBlockInflight } from '../../probes/sys-block-inflight.ts';
import { captured, capturedHost } from '../../testing/captured.ts';
import { testRobustness } from './robustness.ts';

const TEXT = captured('sys/block/nvme0c0n1/inflight');

test('reads and writes in flight are read', () => {
  assert.deepEqual(parseBlockInflight(TEXT), { reads: 0, writes: 0 });
  assert.deepEqual(parseBlockInflight('       3       12\n'), { reads: 3, writes: 12 });
  assert.deepEqual(parseBlockInflight('      42        7\n'), { reads: 42, writes: 7 });
  assert.deepEqual(readBlockInflight(capturedHost(), 'nullb0'), { reads: 0, writes: 0 });
});

test('only two unsigned numbers are accepted', () => {
  for (const text of ['', '\n', '1\n', '1 2 3\n', '-1 2\n', 'a b\n', '1.5 2\n', `${'9'.repeat(400)} 1\n`]) {
    assert.throws(() => parseBlockInflight(text), { name: 'SourceError', kind: 'malformed' }, text);
  }
});

testRobustness('parseBlockInflight', parseBlockInflight, [TEXT, '       3       12\n']);
