import type { Threshold } from '@grafana/schema';

/** Grafana's named colors, dark theme. */
const NAMED: Readonly<Record<string, string>> = {
  text: 'rgb(204,204,220)',
  transparent: 'transparent',
  green: '#73bf69',
  'semi-dark-green': '#56a64b',
  'dark-green': '#37872d',
  red: '#f2495c',
  'semi-dark-red': '#e02f44',
  'dark-red': '#c4162a',
  orange: '#ff9830',
  'semi-dark-orange': '#ff780a',
  'dark-orange': '#fa6400',
  yellow: '#fade2a',
  'semi-dark-yellow': '#f2cc0c',
  'dark-yellow': '#e0b400',
  blue: '#5794f2',
  'light-blue': '#8ab8ff',
  'semi-dark-blue': '#3274d9',
  'dark-blue': '#1f60c4',
  purple: '#b877d9',
  'light-purple': '#ca95e5',
  'dark-purple': '#8f3bb8',
};

/** The first colors of palette-classic. */
const PALETTE: readonly string[] = [
  '#73bf69',
  '#f2cc0c',
  '#8ab8ff',
  '#ff780a',
  '#f2495c',
  '#5794f2',
  '#b877d9',
  '#705da0',
  '#37872d',
  '#fade2a',
  '#447ebc',
  '#c15c17',
  '#890f02',
  '#0a437c',
  '#6d1f62',
  '#584477',
  '#b7dbab',
  '#f4d598',
  '#70dbed',
  '#f9ba8f',
  '#f29191',
  '#82b5d8',
  '#e5a8e2',
  '#aea2e0',
  '#629e51',
  '#e5ac0e',
];

export const paletteColor = (i: number): string => PALETTE[i % PALETTE.length] ?? '#73bf69';
export const colorOf = (name: string): string => NAMED[name] ?? name;

/** The color of the highest step that the value has reached. */
export function thresholdColor(value: number, steps: readonly Threshold[]): string {
  const reached = steps.filter((step) => step.value === null || value >= step.value);
  return colorOf(reached.at(-1)?.color ?? 'green');
}

type Rgb = readonly [number, number, number];

function between(stops: readonly Rgb[], share: number): string {
  const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const [low, high] = [stops[Math.floor(at)], stops[Math.ceil(at)]];
  if (low === undefined || high === undefined) return 'black';
  const mixed = low.map((from, i) => Math.round(from + ((high[i] ?? 0) - from) * (at % 1)));
  return `rgb(${mixed.join(',')})`;
}

const BLUE_YELLOW_RED: readonly Rgb[] = [
  [87, 148, 242],
  [242, 204, 12],
  [242, 73, 92],
];
const TURBO: readonly Rgb[] = [
  ...([
    [48, 18, 59],
    [70, 107, 227],
    [40, 188, 235],
    [50, 242, 152],
  ] as const),
  ...([
    [164, 252, 60],
    [238, 207, 58],
    [251, 126, 33],
    [208, 47, 5],
    [122, 4, 3],
  ] as const),
];

export const continuousColor = (share: number): string => between(BLUE_YELLOW_RED, share);
export const turbo = (share: number): string => between(TURBO, share);
