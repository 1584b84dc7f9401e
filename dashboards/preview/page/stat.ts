import { colorOf, thresholdColor } from './colors.ts';
import { drawing, h, svg, widthOf } from './dom.ts';
import { format } from './format.ts';
import { type Field, mapped, type View } from './view.ts';

interface Value {
  readonly name: string;
  readonly refId: string;
  readonly last: number;
  readonly points: readonly number[];
}

function valuesOf({ answers }: View): Value[] {
  return answers.flatMap(({ refId, series }) =>
    series.map(({ name, value, values = [] }) => {
      const points = value === undefined ? values.map(([, text]) => Number(text)) : [Number(value[1])];
      return { name, refId, last: points.at(-1) ?? Number.NaN, points };
    }),
  );
}

function colour(field: Field, value: number): string {
  const named = mapped(field, value)?.color;
  if (named !== undefined) return colorOf(named);
  if (field.color.mode === 'fixed') return colorOf(field.color.fixedColor ?? 'text');
  return thresholdColor(value, field.thresholds.steps);
}

export function stat(view: View): HTMLElement {
  const values = valuesOf(view);
  const hasNames = view.options['textMode'] === 'value_and_name';
  const room = view.width / values.length - 16;
  const box = h('div', { class: 'stat' });
  for (const { name, refId, last, points } of values) {
    const field = view.field(name, refId);
    const text = mapped(field, last)?.text ?? format(last, field.unit, field.decimals, view.to);
    const pixels = Math.min(
      (view.height - (hasNames ? 24 : 8)) * 0.55,
      38,
      (room / widthOf(text, 100)) * 100,
    );
    const shown = h(
      'div',
      { class: 'value', style: `font-size:${pixels}px;color:${colour(field, last)}` },
      text,
    );
    const cell = h('div', { class: 'cell' }, ...(hasNames ? [h('div', { class: 'name' }, name)] : []), shown);
    if (view.options['graphMode'] === 'area' && points.length > 1) {
      cell.append(sparkline(points, view.width + 16, view.height * 0.4, colour(field, last)));
    }
    box.append(cell);
  }
  return box;
}

function sparkline(points: readonly number[], width: number, height: number, color: string): Node {
  const known = points.filter(Number.isFinite);
  const [low, high] = [Math.min(...known, 0), Math.max(...known, 1e-12)];
  const path = points
    .map((value, i) => [
      (i / (points.length - 1)) * width,
      height - ((value - low) / (high - low || 1)) * (height - 2),
    ])
    .map(([x = 0, y = 0]) => `${x.toFixed(1)},${y.toFixed(1)}`)
    .join(' ');
  const area = svg('polygon', {
    points: `0,${height} ${path} ${width},${height}`,
    fill: color,
    opacity: 0.18,
  });
  const line = svg('polyline', { points: path, fill: 'none', stroke: color, 'stroke-width': 1 });
  return h('div', { class: 'sparkline' }, drawing(width, height, area, line));
}
