const SCALES: Readonly<Record<string, readonly (readonly [number, string])[]>> = {
  short: [
    [1e12, ' T'],
    [1e9, ' Bil'],
    [1e6, ' Mil'],
    [1e3, ' K'],
    [1, ''],
  ],
  cps: rates('c/s'),
  ops: rates('ops/s'),
  iops: rates('io/s'),
  bytes: [
    [2 ** 40, ' TiB'],
    [2 ** 30, ' GiB'],
    [2 ** 20, ' MiB'],
    [2 ** 10, ' KiB'],
    [1, ' B'],
  ],
  Bps: [
    [1e12, ' TB/s'],
    [1e9, ' GB/s'],
    [1e6, ' MB/s'],
    [1e3, ' kB/s'],
    [1, ' B/s'],
  ],
  s: [
    [86_400, ' day'],
    [3600, ' hour'],
    [60, ' min'],
    [1, ' s'],
    [1e-3, ' ms'],
    [1e-6, ' µs'],
    [1e-9, ' ns'],
  ],
};

function rates(unit: string): (readonly [number, string])[] {
  return [
    [1e9, ` B ${unit}`],
    [1e6, ` M ${unit}`],
    [1e3, ` K ${unit}`],
    [1, ` ${unit}`],
  ];
}

/** With so many decimals, else three digits or so. */
function digits(value: number, decimals: number | undefined): string {
  const size = Math.abs(value);
  const wanted = decimals ?? (size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 || size === 0 ? 2 : 4);
  const text = value.toFixed(wanted);
  return decimals === undefined && text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

/** As Grafana shows a value in a unit. */
export function format(value: number, unit = 'short', decimals?: number, now = 0): string {
  if (Number.isNaN(value)) return '';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞';
  if (unit === 'percentunit') return `${digits(value * 100, decimals)}%`;
  if (unit === 'none') return digits(value, decimals);
  if (unit.startsWith('suffix:')) return `${digits(value, decimals)} ${unit.slice(7)}`;
  if (unit === 'dateTimeFromNow') return `${format(Math.max(now - value / 1000, 0), 's', 0)} ago`;
  const scale = SCALES[unit] ?? [[1, '']];
  const size = Math.abs(value);
  const plain: readonly [number, string] = [1, scale.find(([factor]) => factor === 1)?.[1] ?? ''];
  const [by, suffix] = size === 0 ? plain : (scale.find(([factor]) => size >= factor * 0.9999) ?? plain);
  return `${digits(value / by, decimals)}${suffix}`;
}

/** Hours and minutes, UTC. */
export function clock(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(11, 16);
}
