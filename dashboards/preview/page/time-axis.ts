import type { Mark } from '../preview.ts';
import { colorOf } from './colors.ts';
import { svg } from './dom.ts';
import { clock } from './format.ts';

const STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];
const PIXELS = 90;
const EDGE_PIXELS = 14;

/** Times of the labels, with a minimum distance in pixels. */
export function ticks(from: number, to: number, width: number): number[] {
  const step = STEPS.find((one) => (width * one) / (to - from) >= PIXELS) ?? 86_400;
  const first = Math.ceil(from / step) * step;
  const all = Array.from({ length: Math.floor((to - first) / step) + 1 }, (_, i) => first + i * step);
  // A label at the very end would be cut off.
  return all.filter((at) => ((to - at) * width) / (to - from) > EDGE_PIXELS || to === from);
}

/** Labels below a drawing, and the annotation marks across it. */
export function timeAxis(
  { from, to, marks }: { readonly from: number; readonly to: number; readonly marks: readonly Mark[] },
  place: { readonly left: number; readonly right: number; readonly top: number; readonly bottom: number },
): SVGElement[] {
  const x = (at: number): number => place.left + ((place.right - place.left) * (at - from)) / (to - from);
  const labels = ticks(from, to, place.right - place.left).map((at) =>
    svg('text', { x: x(at), y: place.bottom + 15, class: 'axis middle' }, clock(at)),
  );
  const lines = marks.flatMap(({ at, color }) => [
    svg('line', {
      x1: x(at),
      x2: x(at),
      y1: place.top,
      y2: place.bottom,
      stroke: colorOf(color),
      class: 'mark',
    }),
    svg('path', { d: `M${x(at) - 4},${place.bottom + 5} h8 l-4,-5 z`, fill: colorOf(color) }),
  ]);
  return [...labels, ...lines];
}
