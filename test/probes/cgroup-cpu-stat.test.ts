import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCpuStat } from '../../probes/cgroup-cpu-stat.ts';
import { testRobustness } from './robustness.ts';

/** Linux 6.18, v1: a loop with a quota of 20%. */
const V1 = 'nr_periods 53\nnr_throttled 48\nthrottled_time 2536933358\nnr_bursts 0\nburst_time 0\n';
/** Linux 6.1, v2. */
const V2 =
  'usage_usec 1200\nuser_usec 1000\nsystem_usec 200\nnr_periods 7\nnr_throttled 3\nthrottled_usec 250000\nnr_bursts 0\nburst_usec 0\n';

test('v1 counts nanoseconds, v2 microseconds', () => {
  assert.deepEqual(parseCpuStat(V1), {
    periods: 53,
    throttledPeriods: 48,
    throttledNs: 2_536_933_358,
  });
  assert.deepEqual(parseCpuStat(V2), { periods: 7, throttledPeriods: 3, throttledNs: 250_000_000 });
});

test('without the cpu controller v2 has usage only', () => {
  assert.equal(parseCpuStat('usage_usec 1200\nuser_usec 1000\nsystem_usec 200\n'), undefined);
});

test('text of another kind is an error', () => {
  assert.throws(() => parseCpuStat(''), /cpu\.stat/);
  assert.throws(() => parseCpuStat('none of it\n'), /cpu\.stat/);
});

testRobustness('parseCpuStat', parseCpuStat, [V1, V2]);
