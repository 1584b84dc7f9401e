const PREFIXES = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
  [1, ''],
] as const;

/** `31%`, `4.2%`, `0.31%`. */
export function percent(share: number): string {
  return `${digits(share * 100)}%`;
}

/** `1.3 ms`, `90 us`. */
export function duration(seconds: number): string {
  const unit = seconds >= 1 ? 's' : seconds >= 1e-3 ? 'ms' : 'us';
  return `${digits(seconds * { s: 1, ms: 1e3, us: 1e6 }[unit])} ${unit}`;
}

/** `135k`, `2.4 G` with a unit after it. */
export function scaled(value: number, unit = ''): string {
  const [by, prefix] = PREFIXES.find(([from]) => value >= from) ?? [1, ''];
  return `${digits(value / by)}${unit === '' ? '' : ' '}${prefix}${unit}`;
}

/** Two significant digits, three from 100 on; 0 below a thousandth. */
export function digits(value: number): string {
  if (value >= 100) return String(Math.round(value));
  return value < 0.001 ? '0' : String(Number(value.toPrecision(2)));
}
