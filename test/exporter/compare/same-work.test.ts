import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Configuration, Work } from '../../../exporter/compare/model.ts';
import { assess } from '../../../exporter/compare/statistics/assess.ts';
import { differencesOf } from '../../../exporter/compare/statistics/same-work.ts';
import {
  noisyConfiguration,
  testComparison,
  testConfiguration,
  UNKNOWN_WORK,
} from '../../../testing/comparison.ts';
import { TRIAL_RATES } from '../../../testing/comparison-trials.ts';

const WORK: Work = {
  readShare: 1,
  bytesPerIo: 4096,
  inFlight: 128,
  iosPerSecond: 95_000,
  vcpus: 6,
  otherVmsCpu: 1,
};
const base = testConfiguration('base', { work: WORK });
const against = (work: Partial<Work>, about: Partial<Configuration> = {}) =>
  differencesOf(base, testConfiguration('other', { work: { ...WORK, ...work }, ...about }));

test('more I/Os per second with as many in flight are the same work, and so is the same rate', () => {
  assert.deepEqual(against({ iosPerSecond: 250_000 }), []);
  assert.deepEqual(against({ inFlight: 40 }), []);
});

test('each difference is named with its numbers', () => {
  const cases: [Partial<Work>, string, boolean][] = [
    [{ readShare: 0.7 }, '70.0% of the I/Os are reads, in the base 100%', true],
    [{ bytesPerIo: 65_536 }, 'an I/O has 64 KiB, in the base 4 KiB', true],
    [
      { inFlight: 256, iosPerSecond: 190_000 },
      'the load differs: 256 I/Os in flight, in the base 128; 190,000 I/Os per second, in the base 95,000',
      false,
    ],
    [
      { inFlight: undefined, iosPerSecond: 190_000 },
      '190,000 I/Os per second, in the base 95,000, and the number in flight is unknown: the load may differ',
      false,
    ],
    [{ vcpus: 8 }, '8 vCPUs, in the base 6', false],
    [{ otherVmsCpu: 4.2 }, 'the other VMs used 4.2 CPUs, in the base 1', false],
  ];
  for (const [work, text, concernsPerIo] of cases) assert.deepEqual(against(work), [{ text, concernsPerIo }]);
  assert.deepEqual(against({}, { hosts: ['host-2:9954'] }), [
    { text: 'measured on the hosts host-2:9954, in the base host-1:9954', concernsPerIo: true },
  ]);
});

test('unknown and small differences do not count', () => {
  assert.deepEqual(against(UNKNOWN_WORK), []);
  assert.deepEqual(against({ readShare: 0.97, bytesPerIo: 4200, otherVmsCpu: 1.3 }), []);
});

test('metrics for one I/O lead and stay comparable if the load differs', () => {
  const first = noisyConfiguration('first', TRIAL_RATES, { seed: 1, samples: 240 });
  const second = noisyConfiguration('second', TRIAL_RATES, { seed: 2, samples: 240 });
  const comparison = testComparison(
    { ...first, work: WORK },
    { ...second, work: { ...WORK, inFlight: 256, iosPerSecond: 190_000 } },
  );
  const { metrics, configurations } = assess(comparison, { confidence: 0.95 });
  assert.deepEqual(
    metrics.map(({ id }) => id),
    ['exits_per_io', 'cpu_per_1000_ios', 'iops', 'latency_mean'],
  );
  const changes = configurations[1]?.againstFirst?.changes;
  assert.equal(changes?.get('exits_per_io')?.isComparable, true);
  assert.equal(changes?.get('iops')?.isComparable, false);
});

test('techniques have their share of the time in each state', () => {
  const techniques = new Map([
    ['affinity', new Map([['in_force', 30] as const, ['off', 10] as const])] as const,
  ]);
  const { configurations } = assess(testComparison({ ...base, techniques }), { confidence: 0.95 });
  const states = configurations[0]?.techniques.get('affinity');
  assert.deepEqual(
    [...(states ?? [])],
    [
      ['in_force', 0.75],
      ['off', 0.25],
    ],
  );
});
