/** Digits of a number that can be added up without a rounding error. */
const EXACT_DIGITS = 15;
const ZERO = 48;

/**
 * The number between two positions of a text; `yes` is 1 and `no` is 0.
 *
 * @returns undefined if it is no number
 */
export function domstatsNumber(text: string, from: number, to: number): number | undefined {
  if (to - from > EXACT_DIGITS || to === from) return inWords(text.slice(from, to));
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return inWords(text.slice(from, to));
    value = 10 * value + digit;
  }
  return value;
}

function inWords(text: string): number | undefined {
  if (text === 'yes') return 1;
  if (text === 'no') return 0;
  return /^\d{1,20}$/.test(text) ? Number(text) : undefined;
}

/** Copies the string: V8 keeps the whole text alive for a substring. */
export function copyOf(text: string): string {
  return Buffer.from(text).toString();
}
