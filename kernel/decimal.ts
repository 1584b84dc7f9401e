/** Digits of 2^64 - 1, the largest number that the kernel prints. */
const MAX_DIGITS = 20;

/**
 * Parses an unsigned decimal at `start`. The caller checks where it ends with {@link decimalEnd}. Numbers
 * above 2^53 are rounded to float64, which is what Prometheus stores.
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

/** The index after the run of at most 20 digits at `start`; `start` if there is no digit. */
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

/** Parses a string that is one unsigned decimal, with optional white space around it; otherwise undefined. */
export function wholeDecimal(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed.length === 0 || decimalEnd(trimmed, 0) !== trimmed.length) return undefined;
  return decimalAt(trimmed, 0);
}
