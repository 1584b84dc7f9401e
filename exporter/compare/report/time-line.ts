import type { AssessedConfiguration, Estimate } from '../statistics/assessment.ts';
import type { Metric } from './main-metrics.ts';
import { valueText } from './numbers.ts';
import { ticks } from './scale.ts';
import { element, picture, text } from './svg.ts';
import { mergedSpans, type TimeAxis, timeAxis } from './time-axis.ts';
import { timeText } from './times.ts';

const WIDTH = 900;
const HEIGHT = 180;
const LEFT = 66;
const TOP = 8;
const BOTTOM = HEIGHT - 24;
const RIGHT = WIDTH - 8;
/** Pixels of a label of the time. */
const LABEL = 110;
/** A line is interrupted where points are missing. */
const MISSING = 3;

/** A metric over the time. The times of each configuration are marked with its colour. */
export function timeLine(
  configurations: readonly AssessedConfiguration[],
  { id, title, unit }: Metric,
): string {
  const all = configurations.flatMap(({ spans }) => spans);
  const axis = timeAxis(all, LEFT, RIGHT);
  const lines = configurations.map(({ estimates }) => estimates.get(id)?.line ?? []);
  const marks = ticks(lines.flat().reduce((most, [, value]) => Math.max(most, value), 0));
  const end = marks.at(-1) ?? 1;
  const y = (value: number): number => BOTTOM - (value / end) * (BOTTOM - TOP);
  const grid = marks.map(
    (value) =>
      element('line', { class: 'grid', x1: LEFT, x2: RIGHT, y1: y(value), y2: y(value) }) +
      text(LEFT - 6, y(value) + 4, valueText(value, unit), { class: 'tick', 'text-anchor': 'end' }),
  );
  const periods = configurations.flatMap(({ spans }, i) => bands(spans, axis, i));
  const paths = lines.map((line, i) =>
    element('path', { class: `line c${i % 8}`, d: pathOf(line, axis, y) }),
  );
  return picture(
    WIDTH,
    HEIGHT,
    `${title} over the time`,
    [...periods, ...grid, ...paths, ...times(axis)].join(''),
  );
}

function bands(spans: AssessedConfiguration['spans'], { x }: TimeAxis, i: number): string[] {
  const seconds = spans.reduce((sum, { start, end }) => sum + (end - start), 0);
  return mergedSpans(spans, seconds / 200).map(({ start, end }) => {
    const [from = LEFT, to = RIGHT] = [x(start), x(end)];
    return element('rect', {
      class: `band c${i % 8}`,
      x: from,
      y: TOP,
      width: Math.max(0.5, to - from),
      height: BOTTOM - TOP,
    });
  });
}

function pathOf(line: Estimate['line'], { x }: TimeAxis, y: (value: number) => number): string {
  const steps = line.slice(1).map(([at], i) => at - (line[i]?.[0] ?? at));
  const usual = steps.sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  let before = Number.NEGATIVE_INFINITY;
  return line
    .flatMap(([at, value]) => {
      const place = x(at);
      if (place === undefined) return [];
      const command = at - before > MISSING * usual ? 'M' : 'L';
      before = at;
      return `${command}${place.toFixed(1)} ${y(value).toFixed(1)}`;
    })
    .join('');
}

/** Where each piece of the axis begins, if there is room for it. */
function times({ begins }: TimeAxis): string[] {
  let free = 0;
  return begins.flatMap(({ at, x }) => {
    if (x < free || x + LABEL > RIGHT + LABEL / 2) return [];
    free = x + LABEL;
    return (
      element('line', { class: 'begin', x1: x, x2: x, y1: TOP, y2: BOTTOM + 5 }) +
      text(x, HEIGHT - 5, timeText(at), { class: 'tick' })
    );
  });
}
