import { append } from '../../../kernel/maps.ts';

/** Recorded rates look back this far, so the first of a new group still show the old one. */
const RATE_SECONDS = 120;

/**
 * The windows of a host in each group: those with one value of the label, without those in the warm-up after a
 * change.
 *
 * @param seen values of the label in each window
 */
export function windowsByGroup(
  seen: readonly (readonly string[])[],
  seconds: number,
  warmUp: number,
): Map<string, number[]> {
  const skipped = Math.ceil((warmUp + RATE_SECONDS) / seconds);
  const found = new Map<string, number[]>();
  let before: string | undefined;
  let free = 0;
  for (const [i, values] of seen.entries()) {
    const [value, other] = values;
    if (value === undefined) continue;
    const isChange = other !== undefined || (before !== undefined && before !== value);
    // The change may be at the end of the window before, so the first window of the new group is skipped too.
    if (isChange) free = i + skipped + (other === undefined ? 0 : 1);
    before = other === undefined ? value : undefined;
    if (other !== undefined || i < free || value === '') continue;
    append(found, value, i);
  }
  return found;
}
