import type { Unit } from '../model.ts';

/** Shown for unknown values. */
export const NONE = '–';
const MINUS = '−';

const BINARY = ['B/s', 'KiB/s', 'MiB/s', 'GiB/s', 'TiB/s'];

/** `95,200/s`, `1.2 GiB/s`, `310 µs`, `812%`, `0.012`: three digits that count. */
export function valueText(value: number | undefined, unit: Unit): string {
  if (value === undefined || !Number.isFinite(value)) return NONE;
  if (unit === 'seconds') return duration(value);
  if (unit === 'bytes_per_second') return bytes(value);
  if (unit === 'percent') return `${digits(value)}%`;
  return `${digits(value)}${unit === 'per_second' ? '/s' : ''}`;
}

/** `+12.3%`, `−40.0%`, `−99.66%`, `×13`: a gain of 0.123. */
export function gainText(gain: number): string {
  if (!Number.isFinite(gain)) return NONE;
  // More than tenfold is easier to read as a factor.
  if (gain >= 9.5) return `×${digits(gain + 1)}`;
  const text = percent(Math.abs(gain), gain < 0);
  if (text === '0%') return text;
  return `${gain < 0 ? MINUS : '+'}${text}`;
}

/**
 * `12.3%`, `40.0%`, `0%`, `112%`: one decimal place below 100%.
 * @param isLoss whether it is a decrease. Close to 100%, the rest has two digits: `99.966%`
 */
export function percent(share: number, isLoss = false): string {
  // Rounded first, so that a loss of 99% has as many digits from above as from below.
  const rest = Number((1 - share).toPrecision(2));
  if (isLoss && rest > 0 && rest < 0.01) {
    const places = Math.min(6, -Math.floor(Math.log10(rest * 100)) + 1);
    return `${(share * 100).toFixed(places)}%`;
  }
  const text = (share * 100).toFixed(share < 0.9995 ? 1 : 0);
  return text === '0.0' ? '0%' : `${text}%`;
}

function duration(seconds: number): string {
  const size = Math.abs(seconds);
  if (size >= 0.9995 || seconds === 0) return `${digits(seconds)} s`;
  if (size >= 0.9995e-3) return `${digits(seconds * 1e3)} ms`;
  return size >= 0.9995e-6 ? `${digits(seconds * 1e6)} µs` : `${digits(seconds * 1e9)} ns`;
}

function bytes(value: number): string {
  let [size, i] = [value, 0];
  for (; Math.abs(size) >= 1023.5 && i < BINARY.length - 1; i++) size /= 1024;
  return `${digits(size)} ${BINARY[i]}`;
}

function digits(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e15 || size < 1e-6) return value.toExponential(2);
  const rounded = Number(value.toPrecision(3));
  return rounded.toLocaleString('en-US', { maximumFractionDigits: 9 });
}
