import { colorOf, paletteColor } from './colors.ts';
import { h, widthOf } from './dom.ts';
import { clock, format, tick } from './format.ts';
import { ticks } from './time-axis.ts';
import uPlot from './vendor/uplot.js';
import type { Field, View } from './view.ts';

interface Line {
  readonly name: string;
  readonly color: string;
  readonly values: readonly (number | null)[];
}

/** For a legend beside the chart: the width of the numbers, and the share of the panel that it may take. */
const NUMBERS_PIXELS = 206;
const LEGEND_SHARE = 0.52;
/** For a legend below the chart. */
const [LINE_PIXELS, MOST_LINES] = [22, 3];
const CALCS: Readonly<Record<string, string>> = { mean: 'Mean', max: 'Max', lastNotNull: 'Last' };

export function lines(view: View): HTMLElement | undefined {
  const series = view.answers.flatMap((answer) => answer.series);
  if (series.length === 0) return undefined;
  const times = [...new Set(series.flatMap(({ values = [] }) => values.map(([at]) => at)))].sort(
    (a, b) => a - b,
  );
  const all = series.map(({ name, values = [] }, i): Line => {
    const by = new Map(values);
    const at = (time: number): number | null => {
      const value = Number(by.get(time) ?? Number.NaN);
      return Number.isFinite(value) ? value : null;
    };
    return { name, color: paletteColor(i), values: times.map(at) };
  });
  const field = view.field('');
  const { placement } = view.options['legend'] as { placement: string };
  const isRight = placement === 'right';
  const legend = legendOf(view, all, field);
  const names = Math.max(...all.map(({ name }) => widthOf(name, 12)));
  const beside = isRight ? Math.min(names + NUMBERS_PIXELS, view.width * LEGEND_SHARE) : 0;
  const width = view.width - beside;
  // As many lines as the names need, with Grafana's wrapping.
  const wanted = wrapped((legend.dataset['widths'] ?? '').split(' ').map(Number), view.width);
  const below = isRight ? 0 : Math.min(Math.max(wanted, 1), MOST_LINES) * LINE_PIXELS;
  const box = h('div', { class: isRight ? 'beside' : 'above' });
  const chart = h('div');
  box.append(chart, legend);
  legend.style.maxHeight = isRight ? `${view.height}px` : `${below}px`;
  if (isRight) legend.style.width = `${beside}px`;
  plot(chart, view, field, times, all, width, view.height - below);
  return box;
}

function calculated(values: readonly (number | null)[], calc: string): number {
  const known = values.filter((value): value is number => value !== null);
  if (calc === 'max') return Math.max(...known);
  if (calc === 'mean') return known.reduce((a, b) => a + b, 0) / known.length;
  return known.at(-1) ?? Number.NaN;
}

function legendOf(view: View, all: readonly Line[], field: Field): HTMLElement {
  const { calcs, displayMode } = view.options['legend'] as { calcs: string[]; displayMode: string };
  const shown = (line: Line, calc: string): string =>
    format(calculated(line.values, calc), field.unit, field.decimals);
  const dot = (line: Line): HTMLElement => h('i', { style: `background:${line.color}` });
  if (displayMode === 'table') {
    const sorted = [...all].sort((a, b) => calculated(b.values, 'mean') - calculated(a.values, 'mean'));
    const head = h(
      'tr',
      {},
      h('th', {}, 'Name'),
      ...calcs.map((calc) => h('th', { class: 'number' }, CALCS[calc] ?? calc)),
    );
    const rows = sorted.map((line) =>
      h(
        'tr',
        {},
        h('td', {}, dot(line), line.name),
        ...calcs.map((calc) => h('td', { class: 'number' }, shown(line, calc))),
      ),
    );
    return h('div', { class: 'legend table' }, h('table', {}, h('thead', {}, head), h('tbody', {}, ...rows)));
  }
  const items = all.map((line) =>
    h('span', { class: 'item' }, dot(line), line.name, h('em', {}, shown(line, calcs[0] ?? ''))),
  );
  const widths = all.map((line) => 44 + 6.6 * (line.name.length + shown(line, calcs[0] ?? '').length));
  return h('div', { class: 'legend', 'data-widths': widths.join(' ') }, ...items);
}

/** Lines that items of these widths take. */
function wrapped(widths: readonly number[], width: number): number {
  let [lines, end] = [1, 0];
  for (const each of widths) {
    if (end > 0 && end + each > width) [lines, end] = [lines + 1, 0];
    end += each;
  }
  return lines;
}

function plot(
  chart: HTMLElement,
  view: View,
  field: Field,
  times: readonly number[],
  all: readonly Line[],
  width: number,
  height: number,
): void {
  const isStacked = (field.custom['stacking'] as { mode: string }).mode === 'normal';
  const isLogarithmic = (field.custom['scaleDistribution'] as { type: string }).type === 'log';
  const isStepped = field.custom['lineInterpolation'] === 'stepAfter';
  const sums = new Array<number>(times.length).fill(0);
  const drawn = all.map(({ values }) =>
    isStacked
      ? values.map((value, i) => {
          sums[i] = (sums[i] ?? 0) + (value ?? 0);
          return value === null ? null : (sums[i] ?? 0);
        })
      : [...values],
  );
  const limits = field.thresholds.steps.filter(({ value }) => value !== null && value !== undefined);
  const high = drawn.flat().reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
  const softMax = Number(field.custom['axisSoftMax'] ?? 0);
  const top = field.max ?? Math.max(softMax, high === 0 ? 1 : high * 1.05);
  const options: uPlot.Options = {
    width,
    height,
    legend: { show: false },
    cursor: { show: false },
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), 'Etc/UTC'),
    padding: [8, 12, 0, 0],
    scales: {
      x: { range: [view.from, view.to] },
      y: isLogarithmic ? { distr: 3 } : { range: [Math.min(field.min ?? 0, 0), top] },
    },
    axes: [
      {
        ...axis(),
        size: 24,
        splits: (self) => ticks(view.from, view.to, self.bbox.width / devicePixelRatio),
        values: (_, at) => at.map(clock),
      },
      {
        ...axis(),
        size: 70,
        space: 28,
        ...(field.unit === 'bytes' ? { incrs: Array.from({ length: 50 }, (_, i) => 2 ** i) } : {}),
        values: (_, at) => at.map((value) => (value === null ? '' : tick(value, field.unit, field.decimals))),
      },
    ],
    series: [
      {},
      ...all.map(({ color }) => ({
        stroke: color,
        width: 1.2,
        points: { show: false },
        spanGaps: false,
        fill: `${color}${isStacked ? '4d' : '10'}`,
        ...(isStepped && uPlot.paths.stepped !== undefined
          ? { paths: uPlot.paths.stepped({ align: 1 }) }
          : {}),
      })),
    ],
    ...(isStacked
      ? { bands: all.slice(1).map((_, i) => ({ series: [i + 2, i + 1] as [number, number] })) }
      : {}),
    hooks: {
      draw: [
        (self) => {
          for (const { value, color } of limits) dashed(self, 'y', value as number, colorOf(color));
          for (const { at, color } of view.marks) dashed(self, 'x', at, colorOf(color));
        },
      ],
    },
  };
  new uPlot(options, [[...times], ...drawn] as uPlot.AlignedData, chart);
}

function axis(): uPlot.Axis {
  return {
    stroke: 'rgb(204,204,220)',
    font: '11px Inter, Helvetica, Arial, "DejaVu Sans", sans-serif',
    grid: { stroke: 'rgba(240,250,255,0.07)', width: 1 },
    ticks: { show: false },
  };
}

function dashed(plot: uPlot, scale: 'x' | 'y', value: number, color: string): void {
  const { left, top, width, height } = plot.bbox;
  const at = plot.valToPos(value, scale, true);
  const isInside = scale === 'y' ? at >= top && at <= top + height : at >= left && at <= left + width;
  if (!isInside || color === 'transparent') return;
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = color;
  ctx.fillStyle = color;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(scale === 'y' ? left : at, scale === 'y' ? at : top);
  ctx.lineTo(scale === 'y' ? left + width : at, scale === 'y' ? at : top + height);
  ctx.stroke();
  if (scale === 'x') {
    const size = 4 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(at, top + height - size);
    ctx.lineTo(at - size, top + height + size);
    ctx.lineTo(at + size, top + height + size);
    ctx.fill();
  }
  ctx.restore();
}
