import { plainName, shortened } from '../names.ts';
import type { AssessedConfiguration, Estimate } from '../statistics/assessment.ts';
import type { Metric } from './main-metrics.ts';
import { valueText } from './numbers.ts';
import { labelStep, ticks } from './scale.ts';
import { element, picture, text } from './svg.ts';

const WIDTH = 440;
const LEFT = 138;
const RIGHT = 74;
const TOP = 6;
const ROW = 28;
const BAR = 16;
const AXIS = 20;
const PLOT = WIDTH - LEFT - RIGHT;
const MAX_NAME = 20;

/** A bar for each configuration with its interval as a whisker, in the manner of the paper's Fig. 10 and 15. */
export function barChart(
  configurations: readonly AssessedConfiguration[],
  { id, title, unit }: Metric,
): string {
  const estimates = configurations.map((configuration) => configuration.estimates.get(id));
  const marks = ticks(Math.max(0, ...estimates.map(largest)));
  const end = marks.at(-1) ?? 1;
  const x = (value: number): number => LEFT + (Math.min(value, end) / end) * PLOT;
  const bottom = TOP + ROW * configurations.length;
  const labels = marks.map((value) => valueText(value, unit));
  const each = labelStep(labels, PLOT / Math.max(1, marks.length - 1));
  const grid = marks.map((value, i) => [
    element('line', { class: 'grid', x1: x(value), x2: x(value), y1: TOP, y2: bottom }),
    i % each === 0
      ? text(x(value), bottom + 15, labels[i] ?? '', { class: 'tick', 'text-anchor': 'middle' })
      : '',
  ]);
  const rows = configurations.map(({ name }, i) => {
    const y = TOP + ROW * i + (ROW - BAR) / 2;
    const baseline = y + BAR - 3.5;
    const label = text(LEFT - 8, baseline, shortened(plainName(name), MAX_NAME), { 'text-anchor': 'end' });
    return (
      label +
      bar(estimates[i], y, i) +
      text(WIDTH - RIGHT + 8, baseline, valueText(estimates[i]?.value, unit))
    );
  });
  return picture(WIDTH, bottom + AXIS, title, [...grid.flat(), ...rows].join(''));

  function bar(estimate: Estimate | undefined, y: number, i: number): string {
    if (estimate?.value === undefined) return '';
    const width = x(estimate.value) - LEFT;
    const rect = element('rect', { class: `bar c${i % 8}`, x: LEFT, y, width, height: BAR, rx: 2 });
    return estimate.interval === undefined ? rect : rect + whisker(estimate.interval, y);
  }

  function whisker([low, high]: readonly [number, number], y: number): string {
    const [middle, a, b] = [y + BAR / 2, x(low), x(high)];
    const d = `M${a} ${middle}H${b}M${a} ${middle - 5}v10M${b} ${middle - 5}v10`;
    return element('path', { class: 'whisker', d });
  }
}

/** The chart cuts off a whisker that is much longer than its bar. */
function largest(estimate: Estimate | undefined): number {
  if (estimate?.value === undefined) return 0;
  return Math.min(estimate.interval?.[1] ?? 0, 2 * estimate.value) || estimate.value;
}
