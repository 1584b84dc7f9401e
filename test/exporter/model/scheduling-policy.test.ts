import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schedulingPolicy } from '../../../exporter/model/scheduling-policy.ts';

for (const [policy, priority, wanted] of [
  [0, 120, 'other 0'],
  [0, 100, 'other -20'],
  [3, 139, 'batch 19'],
  [1, 49, 'fifo 50'],
  [2, 98, 'rr 1'],
  [6, 0, 'deadline 0'],
  [7, 120, 'ext 0'],
  [99, 120, 'unknown 0'],
] as const) {
  test(`policy ${policy} with priority ${priority} is ${wanted}`, () => {
    const found = schedulingPolicy({ policy, priority });
    assert.equal(`${found.policy} ${found.priority}`, wanted);
  });
}
