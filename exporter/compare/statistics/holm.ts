/**
 * p values corrected for the number of tests, so that all tests together report a change where there is none as seldom
 * as one test does. @see Holm 1979, "A simple sequentially rejective multiple test procedure"
 */
export function holm(p: readonly number[]): number[] {
  const order = p.map((_, i) => i).sort((a, b) => (p[a] ?? 1) - (p[b] ?? 1));
  const corrected = new Array<number>(p.length);
  let largest = 0;
  for (const [rank, i] of order.entries()) {
    largest = Math.max(largest, Math.min(1, (p.length - rank) * (p[i] ?? 1)));
    corrected[i] = largest;
  }
  return corrected;
}
