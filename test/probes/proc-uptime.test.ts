import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseUptime, readUptime } from '../../probes/proc-uptime.ts';
import { liveHost } from '../../testing/captured.ts';
import { testRobustness } from './robustness.ts';

test('the seconds since boot are the first number', () => {
  assert.equal(parseUptime('15270.34 28961.73\n'), 15270.34);
  for (const text of ['', '15270\n', '1.5 2.5\n', '-1.00 2.00\n', '1.00 2.00']) {
    assert.throws(() => parseUptime(text), { name: 'SourceError', kind: 'malformed' });
  }
});

test('they grow on the running kernel', async () => {
  const before = readUptime(liveHost());
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.ok(before > 0 && readUptime(liveHost()) > before);
});

testRobustness('parseUptime', parseUptime, ['15270.34 28961.73\n']);
