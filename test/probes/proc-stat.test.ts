import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseBootTime, parseCpuUse, readBootTime, readCpuUse } from '../../probes/proc-stat.ts';
import { captured, capturedHost, liveHost } from '../../testing/captured.ts';
import { testCutIsNeverMisread, testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };
const TEXT = captured('proc/stat');

test('the boot time of captured hosts is read', () => {
  assert.equal(parseBootTime(TEXT), 1795337760);
  assert.equal(readBootTime(capturedHost('toy-pio-hlt', 't1')), 1795338457);
});

test('a text without a boot time, and a boot time that is no number, are refused', () => {
  for (const text of [
    '',
    'cpu 1 2 3\n',
    'btime\n',
    'btime -1\n',
    'btime 1.5\n',
    ' btime 1\n',
    `btime ${'9'.repeat(400)}\n`,
  ]) {
    assert.throws(() => parseBootTime(text), malformed, text);
  }
});

test('the boot time of this machine is as long ago as its uptime says', () => {
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  assert.ok(Math.abs(Date.now() / 1000 - uptime - readBootTime(liveHost())) < 30);
});

test('the time of each CPU: tasks and guests, interrupts, steal', () => {
  const text = 'cpu  9 9 9 9\ncpu0 100 20 3 999 5 6 7 8 50 0\ncpu12 1 0 0 9 0 0 0 0 0 0\nintr 5\n';
  assert.deepEqual(
    [...parseCpuUse(text)],
    [
      [0, { busy: 1.23, interrupts: 0.13, steal: 0.08 }],
      [12, { busy: 0.01, interrupts: 0, steal: 0 }],
    ],
  );
  assert.ok(parseCpuUse(TEXT).size > 0);
  assert.ok((readCpuUse(liveHost()).get(0)?.busy ?? 0) > 0);
  for (const bad of ['', 'cpu  1 2 3 4\n', 'cpu0 x\n', 'cpu0\n'])
    assert.throws(() => parseCpuUse(bad), malformed, bad);
});

testCutIsNeverMisread('parseBootTime', parseBootTime, TEXT);
testRobustness('parseBootTime', parseBootTime, [TEXT]);
testRobustness('parseCpuUse', parseCpuUse, [TEXT]);
