import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  latestCpus,
  migrationRate,
  newResidency,
  observe,
  type Residency,
} from '../../../exporter/model/residency.ts';

test('the time since the last sample goes to the CPU found, and a change of CPU is a migration', () => {
  const residency = newResidency(0);
  for (const cpu of [0, 0, 3, 3, 0]) observe(residency, cpu, 1, 8);
  assert.deepEqual(
    [...residency.secondsOn],
    [
      [0, 3],
      [3, 2],
    ],
  );
  assert.equal(residency.migrations, 2);
});

test('a thread that moves often has at most the allowed series, loses no time, and no series falls', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 300 })), fc.integer({ min: 1, max: 5 }), (cpus, maxCpus) => {
      const residency = newResidency(0);
      let before = new Map<number, number>();
      let otherBefore = 0;
      for (const cpu of cpus) {
        observe(residency, cpu, 1, maxCpus);
        assert.ok(residency.secondsOn.size <= maxCpus);
        for (const [known, seconds] of before) assert.ok((residency.secondsOn.get(known) ?? -1) >= seconds);
        assert.ok(residency.other >= otherBefore);
        before = new Map(residency.secondsOn);
        otherBefore = residency.other;
      }
      const sum = [...residency.secondsOn.values()].reduce((a, b) => a + b, residency.other);
      assert.equal(sum, cpus.length);
    }),
  );
});

function sampled(cpus: readonly number[]): Residency {
  const residency = newResidency(cpus[0] ?? 0);
  for (const cpu of cpus.slice(1)) observe(residency, cpu, 1, 2);
  return residency;
}

test('the latest CPUs are those of the last three samples, each once, capped ones as well', () => {
  assert.deepEqual(latestCpus(sampled([5])), [5]);
  assert.deepEqual(latestCpus(sampled([0, 1, 2, 3, 3, 7])), [3, 7]);
  assert.deepEqual(latestCpus(sampled([0, 1, 1, 1])), [1]);
});

test('a rate of migrations is reported once there are sixteen samples, and of the last sixteen only', () => {
  const still = Array.from({ length: 15 }, () => 0);
  assert.equal(migrationRate(sampled(still), 1), undefined);
  assert.equal(migrationRate(sampled([...still, 0]), 1), 0);
  assert.equal(migrationRate(sampled([...still, 1]), 1), 1 / 15);
  const back = Array.from({ length: 16 }, (_, i) => i % 2);
  assert.equal(migrationRate(sampled(back), 1), 1);
  assert.equal(migrationRate(sampled(back), 5), 1 / 5);
  assert.equal(migrationRate(sampled([...back, ...Array.from({ length: 16 }, () => 1)]), 1), 0);
  assert.equal(sampled([...back, ...back]).recent.length, 16);
});
