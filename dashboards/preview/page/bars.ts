import { colorOf, paletteColor } from './colors.ts';
import { drawing, fitted, h, svg, widthOf } from './dom.ts';
import { format, tick } from './format.ts';
import { frameOf } from './frames.ts';
import type { View } from './view.ts';

const FONT = 11;
const [LEFT, RIGHT, TOP] = [74, 8, 18];
const TICKS = 4;

/** The next round number. */
function niceStep(exact: number): number {
  const power = 10 ** Math.floor(Math.log10(exact));
  return ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= exact * 0.9999) ?? 10) * power;
}

/** Wraps words into lines that fit, three at most. */
function wrapped(text: string, room: number): string[] {
  const lines: string[] = [''];
  for (const word of text.split(/[ _]/)) {
    const longer = lines.at(-1) === '' ? word : `${lines.at(-1)} ${word}`;
    if (widthOf(longer, FONT) <= room || lines.at(-1) === '') lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.slice(0, 3).map((line) => fitted(line, FONT, room));
}

export function bars(view: View): HTMLElement | undefined {
  const frame = frameOf(view.answers, view.transformations);
  const x = String(view.options['xField']);
  const names = (frame.get(x) ?? []).map(String);
  const groups = [...frame].filter(([name]) => name !== x);
  if (names.length === 0) return undefined;
  const isStacked = view.options['stacking'] === 'normal';
  const hasLegend = (view.options['legend'] as { showLegend: boolean }).showLegend;
  const colors = groups.map(([name], i) => {
    const { color } = view.field(name);
    return color.mode === 'fixed' ? colorOf(color.fixedColor ?? 'blue') : paletteColor(i);
  });
  const value = (group: number, i: number): number => Number(groups[group]?.[1][i] ?? 0);
  const totals = names.map((_, i) =>
    groups.reduce((sum, _g, g) => (isStacked ? sum + value(g, i) : Math.max(sum, value(g, i))), 0),
  );
  const field = view.field(groups[0]?.[0] ?? '');
  const step = niceStep(Math.max(...totals, 1e-12) / TICKS);
  const top = Math.ceil((Math.max(...totals) * 1.02) / step) * step || 1;
  const room = (view.width - LEFT - RIGHT) / names.length;
  const labels = names.map((name) => wrapped(name, room - 6));
  const bottom = 8 + 14 * Math.max(...labels.map((lines) => lines.length));
  const height = view.height - (hasLegend ? 26 : 0);
  const y = (v: number): number => TOP + (height - TOP - bottom) * (1 - v / top);
  const parts: SVGElement[] = [];
  for (let at = 0; at <= top * 1.001; at += step) {
    parts.push(svg('line', { x1: LEFT, x2: view.width - RIGHT, y1: y(at), y2: y(at), class: 'grid' }));
    parts.push(
      svg('text', { x: LEFT - 6, y: y(at) + 4, class: 'axis end' }, tick(at, field.unit, field.decimals)),
    );
  }
  for (const [i, lines] of labels.entries()) {
    const width = Math.min(room * 0.62, 110);
    const left = LEFT + room * i + (room - width) / 2;
    let below = 0;
    for (const [g] of groups.entries()) {
      const size = isStacked ? width : width / groups.length;
      const from = isStacked ? below : 0;
      const at = { x: left + (isStacked ? 0 : size * g), y: y(from + value(g, i)) };
      parts.push(
        svg('rect', {
          ...at,
          width: size,
          height: Math.max(y(from) - at.y, 0),
          fill: colors[g] ?? '',
          'fill-opacity': 0.75,
          stroke: colors[g] ?? '',
        }),
      );
      below += value(g, i);
    }
    if (!isStacked) {
      const shown = format(value(0, i), field.unit, field.decimals);
      parts.push(
        svg('text', { x: left + width / 2, y: y(value(0, i)) - 5, class: 'axis middle strong' }, shown),
      );
    }
    for (const [n, line] of lines.entries()) {
      parts.push(
        svg('text', { x: left + width / 2, y: height - bottom + 16 + 14 * n, class: 'axis middle' }, line),
      );
    }
  }
  const box = h('div', {}, drawing(view.width, height, ...parts));
  if (hasLegend) {
    const prefix = x.includes('\\') ? `${x.split('\\')[1]} ` : '';
    const items = groups.map(([name], i) =>
      h('span', { class: 'item' }, h('i', { style: `background:${colors[i]}` }), `${prefix}${name}`),
    );
    box.append(h('div', { class: 'legend' }, ...items));
  }
  return box;
}
