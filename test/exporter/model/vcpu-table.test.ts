import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_VCPUS, totalsOf, vcpuTable } from '../../../exporter/model/vcpu-table.ts';
import type { StatisticType } from '../../../probes/qmp-stats.ts';
import { statisticOf } from '../../../testing/vcpu-table.ts';

const TABLE = vcpuTable([
  [0, new Map(Object.entries({ exits: 3, max_size: 7 }))],
  [2, new Map(Object.entries({ halts: 1, exits: 4, max_size: 5 }))],
]);

test('a table has a column for each statistic of any vCPU, and a vCPU without it has no value', () => {
  assert.deepEqual(
    [TABLE.names, TABLE.indexes],
    [
      ['exits', 'max_size', 'halts'],
      [0, 2],
    ],
  );
  assert.deepEqual([...TABLE.values], [3, 7, Number.NaN, 4, 5, 1]);
  assert.deepEqual([statisticOf(TABLE, 2, 'halts'), statisticOf(TABLE, 0, 'halts')], [1, undefined]);
  const another = vcpuTable([
    [0, new Map([['a', 1]])],
    [1, new Map([['b', 2]])],
  ]);
  assert.deepEqual(
    [another.names, [...another.values]],
    [
      ['a', 'b'],
      [1, Number.NaN, Number.NaN, 2],
    ],
  );
});

test('a VM is the sum of its vCPUs, and a peak the highest of them', () => {
  const types = new Map<string, StatisticType>([['max_size', 'peak']]);
  assert.deepEqual([...totalsOf(TABLE, types)], [7, 7, 1]);
  const rising = vcpuTable([
    [0, new Map([['max_size', 5]])],
    [1, new Map([['max_size', 9]])],
  ]);
  assert.deepEqual([...totalsOf(rising, types)], [9]);
  assert.deepEqual([...totalsOf(rising, new Map())], [14]);
});

test('without vCPUs there is no sum, and a statistic of no vCPU has none', () => {
  assert.deepEqual([...totalsOf(NO_VCPUS, new Map())], []);
  const none = { names: ['exits'], indexes: [0], values: Float64Array.of(Number.NaN) };
  assert.deepEqual([...totalsOf(none, new Map())], [Number.NaN]);
});
