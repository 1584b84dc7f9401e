import { bucketsOf, LEAST } from './buckets.ts';
import { turbo } from './colors.ts';
import { drawing, h, svg } from './dom.ts';
import { format } from './format.ts';
import { timeAxis } from './time-axis.ts';
import type { View } from './view.ts';

const [LEFT, RIGHT, BOTTOM, LEGEND] = [62, 10, 22, 30];
const MIN_LABEL_PIXELS = 14;
const LEGEND_STEPS = 64;

export function heatmap(view: View): HTMLElement | undefined {
  const rows = bucketsOf(view.answers);
  if (rows.length === 0) return undefined;
  const unit = (view.options['yAxis'] as { unit: string }).unit;
  const used = rows.map((_, i) => i).filter((i) => rows[i]?.cells.some(([, value]) => value > 0));
  const kept = rows.slice(used[0] ?? 0, (used.at(-1) ?? 0) + 1);
  const max = rows.flatMap(({ cells }) => cells).reduce((high, [, value]) => Math.max(high, value), LEAST);
  const height = view.height - LEGEND;
  const place = { left: LEFT, right: view.width - RIGHT, top: 4, bottom: height - BOTTOM };
  const rowHeight = (place.bottom - place.top) / kept.length;
  const times = rows[0]?.cells.map(([at]) => at) ?? [];
  const step = (times[1] ?? view.to) - (times[0] ?? view.from);
  const x = (at: number): number => LEFT + ((place.right - LEFT) * (at - view.from)) / (view.to - view.from);
  const every = Math.ceil(MIN_LABEL_PIXELS / rowHeight);
  const parts: SVGElement[] = [];
  for (const [n, row] of kept.entries()) {
    const y = place.bottom - rowHeight * (n + 1);
    if (n % every === 0) {
      parts.push(svg('text', { x: LEFT - 6, y: y + 4, class: 'axis end' }, format(row.le, unit)));
    }
    for (const [at, value] of row.cells) {
      if (value === 0 || at - step < view.from - step) continue;
      const start = Math.max(x(at - step), LEFT);
      const fill = turbo(Math.sqrt(value / max));
      parts.push(
        svg('rect', {
          x: start,
          y: y + 0.5,
          width: Math.max(x(at) - start - 0.5, 0.5),
          height: rowHeight - 1,
          fill,
        }),
      );
    }
  }
  const scale = Array.from({ length: LEGEND_STEPS }, (_, i) =>
    svg('rect', { x: LEFT + i * 4, y: 6, width: 4, height: 9, fill: turbo(Math.sqrt(i / LEGEND_STEPS)) }),
  );
  const ends = [
    svg('text', { x: LEFT - 6, y: 15, class: 'axis end' }, '0'),
    svg('text', { x: LEFT + LEGEND_STEPS * 4 + 8, y: 15, class: 'axis' }, format(max, 'eps')),
  ];
  return h(
    'div',
    {},
    drawing(view.width, height, ...parts, ...timeAxis(view, place)),
    drawing(view.width, LEGEND, ...scale, ...ends),
  );
}
