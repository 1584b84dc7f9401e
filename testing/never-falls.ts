import assert from 'node:assert/strict';
import type { Samples } from './metrics.ts';

const COUNTER = /^kvm_\w+_(total|bucket|count|sum)(\{|$)/;

/**
 * Asserts that no counter of a scrape is below its value in the scrape before.
 *
 * @returns how many counters were compared
 */
export function assertNoneFalls(before: Samples, now: Samples, when: string): number {
  let compared = 0;
  for (const [key, value] of before) {
    const later = now.get(key);
    if (later === undefined || !COUNTER.test(key)) continue;
    compared++;
    assert.ok(later >= value, `${when}: ${key}: ${value}, then ${later}`);
  }
  return compared;
}
