import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FleetSum, judgeSums } from '../../bench/fleet-sums.ts';

const past = { movedAt: 100, down: [], settles: 25, vms: 17 };
const at = (time: number, sum: number, ofHosts: number | undefined = sum): FleetSum => ({
  at: time,
  sum,
  ofHosts,
});
const counts = (sums: readonly FleetSum[], more: object = {}): Record<string, number> =>
  Object.fromEntries(
    Object.entries(judgeSums(sums, { ...past, ...more })).map(([name, { length }]) => [name, length]),
  );

test('a sum without a host whose scrape failed is not wrong, whatever the later sum over hosts', () => {
  // An exporter was stopped for 8 s with scrapes every 5 s: at 96 the rule of the cluster read what the rule of the host had at 91.
  const sums = [at(86, 17), at(91, 17, 11), at(96, 11, 17), at(150, 17)];
  assert.deepEqual(counts(sums, { down: [90] }), { right: 2, wrong: 0, moving: 0, withoutHost: 2 });
  assert.deepEqual(counts(sums), { right: 2, wrong: 2, moving: 0, withoutHost: 0 });
});

test('a sum is wrong if it differs from the sum over hosts or from the number of VMs, or if no host has it', () => {
  const sums = [at(50, 18), at(60, 17, 18), { at: 70, sum: 17, ofHosts: undefined }, at(80, 17)];
  assert.deepEqual(counts(sums), { right: 1, wrong: 3, moving: 0, withoutHost: 0 });
});

test('sums directly after the migration do not count, later ones must be right', () => {
  assert.deepEqual(counts([at(101, 16), at(125, 18), at(126, 18)]), {
    right: 0,
    wrong: 1,
    moving: 2,
    withoutHost: 0,
  });
});
