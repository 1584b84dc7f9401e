/** Shown for unknown values. */
export const NONE = '–';

const LARGE = [
  { from: 1e9, by: 1e9, unit: 'G' },
  { from: 1e6, by: 1e6, unit: 'M' },
  { from: 1e4, by: 1e3, unit: 'k' },
] as const;

/** `0`, `0.42`, `7.3`, `812`, `9,431`, `95.2k`, `1.25M`. */
export function count(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return NONE;
  for (const { from, by, unit } of LARGE) {
    // Values that would round up to the next unit use that unit.
    if (value >= from * 0.99995) return `${digits(value / by)}${unit}`;
  }
  if (value >= 999.5) return Math.round(value).toLocaleString('en-US');
  return digits(value);
}

/** Three significant digits. */
function digits(value: number): string {
  if (value === 0) return '0';
  if (value >= 99.95) return value.toFixed(0);
  if (value >= 9.995) return value.toFixed(1).replace(/\.0$/, '');
  if (value < 0.005) return '<0.01';
  return value.toFixed(2).replace(/\.?0+$/, '');
}

/** Two decimal places, so that the numbers in a column align. */
export function fixed(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return NONE;
  return value >= 1000 ? count(value) : value.toFixed(value >= 99.995 ? 0 : 2);
}

/** Axis label with as many decimal places as the step has. */
export function tick(value: number, step: number): string {
  let places = 0;
  while (places < 6 && Math.abs(step * 10 ** places - Math.round(step * 10 ** places)) > 1e-6) places++;
  return value.toFixed(places);
}

/** `310 ns`, `4.2 µs`, `1.8 ms`, `2 s`. */
export function duration(seconds: number | undefined): string {
  if (seconds === undefined || !Number.isFinite(seconds)) return NONE;
  if (seconds === 0) return '0 s';
  for (const [unit, size] of [
    ['s', 1],
    ['ms', 1e-3],
    ['µs', 1e-6],
  ] as const) {
    if (seconds >= size * 0.99995) return `${digits(seconds / size)} ${unit}`;
  }
  return `${Math.round(seconds * 1e9)} ns`;
}

export function percent(ratio: number | undefined): string {
  if (ratio === undefined || !Number.isFinite(ratio)) return NONE;
  const value = ratio * 100;
  return `${value >= 9.95 || value === 0 ? value.toFixed(0) : value.toFixed(1)}%`;
}

/** Counter values as in /metrics, with thousands separators. */
export function exact(value: number | undefined): string {
  return value === undefined ? NONE : value.toLocaleString('en-US', { maximumFractionDigits: 9 });
}

/** Shortens thread names such as `iothread:io0` for small fields. */
export function shortThread(thread: string): string {
  if (thread === 'emulator') return 'emu';
  if (thread === 'monitor') return 'mon';
  return thread
    .replace(/^iothread:(?:iothread(?=\d))?/, (prefix) => (prefix === 'iothread:' ? '' : 'io'))
    .replace(/^vcpu/, 'v')
    .replace(/^vhost/, 'vh')
    .replace(/^sqpoll/, 'sq');
}

/** `1 VM`, `2 VMs`. */
export function plural(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Turns `exitless_polling` into `exitless polling`. */
export function words(name: string): string {
  return name.replaceAll('_', ' ');
}

const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

/**
 * `13:52:10`, with the day if it is not today.
 *
 * @param at milliseconds of the epoch
 */
export function clock(at: number): string {
  const [day, today] = [DAY.format(at), DAY.format(Date.now())];
  return day === today ? TIME.format(at) : `${day} ${TIME.format(at)}`;
}
