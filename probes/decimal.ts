/** Digits of 2^64 - 1, the largest number that the kernel prints. */
const MAX_DIGITS = 20;

/**
 * Reads an unsigned decimal at `start`; the caller checks where it ends with {@link decimalEnd}. Digits beyond 2^53
 * round like any float64, which is what Prometheus stores.
 */
export function decimalAt(text: string, start: number): number {
  let value = 0;
  const stop = Math.min(text.length, start + MAX_DIGITS);
  for (let i = start; i < stop; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return value;
}

/** The index after the run of digits, at most 20, that begins at `start`; `start` itself where there is none. */
export function decimalEnd(text: string, start: number): number {
  let i = start;
  const stop = Math.min(text.length, start + MAX_DIGITS);
  while (i < stop) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) break;
    i++;
  }
  return i;
}

/** A whole string that is one unsigned decimal, with white space around it; undefined for anything else. */
export function wholeDecimal(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed.length === 0 || trimmed.length > MAX_DIGITS || decimalEnd(trimmed, 0) !== trimmed.length)
    return undefined;
  return decimalAt(trimmed, 0);
}
