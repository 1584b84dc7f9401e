import { colorOf, continuousColor, thresholdColor } from './colors.ts';
import { drawing, fitted, h, svg, widthOf } from './dom.ts';
import { format } from './format.ts';
import { timeAxis } from './time-axis.ts';
import { type Field, mapped, type View } from './view.ts';

const FONT = 11;
const BOTTOM = 22;
const MOST_PIXELS = 48;

interface Segment {
  readonly from: number;
  readonly value: number;
  to: number;
}

/** Merges adjacent equal values; a gap of more than two steps ends a segment. */
function segments(values: readonly (readonly [number, string])[], step: number): Segment[] {
  const found: Segment[] = [];
  for (const [at, text] of values) {
    const value = Number(text);
    const last = found.at(-1);
    if (last !== undefined && at - last.to <= step * 1.5) {
      last.to = at;
      if (last.value === value) continue;
    }
    found.push({ from: at, to: at, value });
  }
  for (const segment of found) if (segment.to === segment.from) segment.to += step;
  return found;
}

export function timeline(view: View): HTMLElement | undefined {
  const rows = view.answers.flatMap(({ series }) =>
    series.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })),
  );
  if (rows.length === 0) return undefined;
  const field = view.field('');
  const names = field.mappings.flatMap(({ options }) => Object.values(options));
  const { showLegend } = view.options['legend'] as { showLegend: boolean };
  const height = view.height - (showLegend ? 24 : 0);
  const left = Math.min(Math.max(...rows.map(({ name }) => widthOf(name, FONT))) + 12, view.width * 0.35);
  const place = { left, right: view.width - 10, top: 2, bottom: height - BOTTOM };
  const rowHeight = Math.min((place.bottom - place.top) / rows.length, MOST_PIXELS);
  const x = (at: number): number =>
    Math.max(left, left + ((place.right - left) * (at - view.from)) / (view.to - view.from));
  const all = rows.flatMap(({ values = [] }) => values.map(([, text]) => Number(text)));
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const step = stepOf(rows.map(({ values = [] }) => values));
  const parts: SVGElement[] = [];
  for (const [i, { name, values = [] }] of rows.entries()) {
    const y = place.top + rowHeight * i;
    const text = fitted(name, FONT, left - 10);
    if (rowHeight >= 9)
      parts.push(svg('text', { x: left - 6, y: y + rowHeight / 2 + 4, class: 'axis end' }, text));
    for (const { from, to, value } of segments(values, step)) {
      const [start, end] = [x(from), Math.min(x(to), place.right)];
      const fill = colour(field, value, low, high);
      parts.push(
        svg('rect', {
          x: start,
          y: y + 1,
          width: Math.max(end - start, 1),
          height: Math.max(rowHeight * 0.85, 1),
          fill,
          'fill-opacity': 0.8,
        }),
      );
      const shown = mapped(field, value)?.text ?? format(value, field.unit, field.decimals);
      if (rowHeight >= 12 && widthOf(shown, FONT) + 8 < end - start) {
        parts.push(svg('text', { x: start + 5, y: y + rowHeight / 2 + 3, class: 'inside' }, shown));
      }
    }
  }
  const used = { ...place, bottom: place.top + rowHeight * rows.length };
  const box = h('div', {}, drawing(view.width, height, ...parts, ...timeAxis(view, used)));
  if (showLegend) {
    const items = names.map(({ text = '', color = '' }) =>
      h('span', { class: 'item' }, h('i', { style: `background:${colorOf(color)}` }), text),
    );
    box.append(h('div', { class: 'legend' }, ...items));
  }
  return box;
}

function stepOf(rows: readonly (readonly (readonly [number, string])[])[]): number {
  const gaps = rows.flatMap((values) => values.slice(1).map(([at], i) => at - (values[i]?.[0] ?? 0)));
  return gaps.length === 0 ? 60 : gaps.reduce((a, b) => Math.min(a, b));
}

function colour(field: Field, value: number, low: number, high: number): string {
  const color = mapped(field, value)?.color;
  if (color !== undefined) return colorOf(color);
  if (field.color.mode.startsWith('continuous')) return continuousColor((value - low) / (high - low || 1));
  return thresholdColor(value, field.thresholds.steps);
}
