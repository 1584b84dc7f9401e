/** Three significant digits; all digits for an integer. */
function decimalsOf(value: number): number {
  if (value % 1 === 0) return 0;
  return Math.max(0, 2 - Math.floor(Math.log(Math.abs(value)) / Math.LN10));
}

function digits(value: number, decimals = decimalsOf(value)): string {
  if (!Number.isFinite(value)) return value.toLocaleString();
  const factor = 10 ** decimals;
  const text = String(Math.round(value * factor) / factor);
  if (text.includes('e') || decimals === 0) return text;
  const [whole = '', part = ''] = text.split('.');
  return `${whole}.${part.padEnd(decimals, '0')}`;
}

interface Scale {
  readonly factor: number;
  readonly suffixes: readonly string[];
  /** Index of the unit without a prefix. */
  readonly one: number;
}

const SI = ['f', 'p', 'n', 'µ', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
const SCALES: Readonly<Record<string, Scale>> = {
  short: {
    factor: 1000,
    one: 0,
    suffixes: ['', ' K', ' Mil', ' Bil', ' Tri', ' Quadr', ' Quint', ' Sext', ' Sept'],
  },
  eps: counted('evt/s'),
  ops: counted('ops/s'),
  iops: counted('io/s'),
  bytes: {
    factor: 1024,
    one: 0,
    suffixes: ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi'].map((prefix) => ` ${prefix}B`),
  },
  hertz: { factor: 1000, one: SI.indexOf(''), suffixes: SI.map((prefix) => ` ${prefix}Hz`) },
  Bps: { factor: 1000, one: SI.indexOf(''), suffixes: SI.map((prefix) => ` ${prefix}B/s`) },
};

function counted(unit: string): Scale {
  return { factor: 1000, one: 0, suffixes: ['', 'K', 'M', 'B', 'T'].map((prefix) => `${prefix} ${unit}`) };
}

function scaled(value: number, { factor, suffixes, one }: Scale, decimals: number | undefined): string {
  const power = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)) / Math.log10(factor));
  const by = Math.min(Math.max(power, -one), suffixes.length - 1 - one);
  return `${digits(value / factor ** by, decimals)}${suffixes[one + by]}`;
}

const SECONDS: readonly (readonly [from: number, by: number, name: string])[] = [
  [31_536_000, 31_556_900, 'year'],
  [604_800, 604_800, 'week'],
  [86_400, 86_400, 'day'],
  [3600, 3600, 'hour'],
  [60, 60, 'min'],
  [1, 1, 's'],
  [1e-3, 1e-3, 'ms'],
  [1e-6, 1e-6, 'µs'],
  [0, 1e-9, 'ns'],
];

function time(seconds: number, decimals: number | undefined): string {
  if (seconds === 0) return '0 s';
  const size = Math.abs(seconds);
  const [, by, name] = SECONDS.find(([from]) => size >= from) ?? [0, 1, 's'];
  const value = by < 1 ? seconds * Math.round(1 / by) : seconds / by;
  const isPlural = by > 1 && Math.abs(value) > 1;
  return `${digits(value, decimals)} ${name}${isPlural ? 's' : ''}`;
}

/** From this many seconds on, one of the next unit, or a number of them. */
const AGO: readonly (readonly [from: number, by: number, name: string])[] = [
  [36 * 3600, 86_400, 'days'],
  [22 * 3600, 0, 'a day'],
  [90 * 60, 3600, 'hours'],
  [45 * 60, 0, 'an hour'],
  [90, 60, 'minutes'],
  [45, 0, 'a minute'],
];

function ago(seconds: number): string {
  const [, by, name] = AGO.find(([from]) => seconds >= from) ?? [0, 0, 'a few seconds'];
  return by === 0 ? `${name} ago` : `${Math.round(seconds / by)} ${name} ago`;
}

/**
 * Formats a value as Grafana does, for the units of the dashboards. test/dashboards/grafana.test.ts compares
 * the two.
 * @param now Unix time in seconds, for `dateTimeFromNow`
 */
export function format(value: number, unit = 'short', decimals?: number, now = 0): string {
  if (Number.isNaN(value)) return 'NaN';
  if (unit === 'percentunit') return `${digits(value * 100, decimals)}%`;
  if (unit === 'none') return digits(value, decimals);
  if (unit.startsWith('suffix:')) return `${digits(value, decimals)} ${unit.slice(7)}`;
  if (unit === 'dateTimeFromNow') return ago(now - value / 1000);
  if (unit === 's') return time(value, decimals);
  const scale = SCALES[unit];
  if (scale === undefined) throw new Error(`no unit ${unit}`);
  return scaled(value, scale, decimals);
}

/** Formats an axis label, without trailing zeros unless the decimals are set. */
export function tick(value: number, unit?: string, decimals?: number): string {
  if (decimals !== undefined) return format(value, unit, decimals);
  return format(value, unit)
    .replace(/(\.\d*?)0+(?!\d)/, '$1')
    .replace(/\.(?!\d)/, '');
}

/** Hours and minutes, UTC. */
export function clock(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(11, 16);
}
