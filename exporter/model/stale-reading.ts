/**
 * Whether a reading that is lower than the last one is ignored, because it is stale. If a counter falls below half of its last
 * reading, its source restarted.
 */
export function isStale(before: number, reading: number): boolean {
  return reading < before && reading >= before / 2;
}
