import { asPrimary, type Expression, primary, type RangeVector, type Vector } from './expression.ts';
import type { Matchers } from './matchers.ts';
import type { CounterName, GaugeName, SeriesLabels } from './names.ts';

function selector(name: string, matchers: object): string {
  const entries = Object.entries(matchers).map(([label, matcher]) => `${label}${matcher}`);
  return entries.length === 0 ? name : `${name}{${entries.join(',')}}`;
}

/** The current value of a gauge. */
export function gauge<M extends GaugeName>(
  name: M,
  matchers: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return primary(selector(name, matchers));
}

/** The value of a gauge the given time ago. */
export function gaugeOffset<M extends GaugeName>(
  name: M,
  offset: string,
  matchers: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return primary(`${selector(name, matchers)} offset ${offset}`);
}

/** The samples of a gauge in a window. */
export function gaugeRange<M extends GaugeName>(
  name: M,
  window: string,
  matchers: Matchers<SeriesLabels<M>> = {},
): RangeVector<SeriesLabels<M>> {
  return { range: `${selector(name, matchers)}[${window}]` };
}

/** The samples of a counter in a window. */
export function counterRange<M extends CounterName>(
  name: M,
  window: string,
  matchers: Matchers<SeriesLabels<M>> = {},
): RangeVector<SeriesLabels<M>> {
  return { range: `${selector(name, matchers)}[${window}]` };
}

/** Per-second rate of a counter. */
export function rate<M extends CounterName>(
  name: M,
  window: string,
  matchers: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return primary(`rate(${selector(name, matchers)}[${window}])`);
}

/** Increase of a counter over the window. */
export function increase<M extends CounterName>(
  name: M,
  window: string,
  matchers: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return primary(`increase(${selector(name, matchers)}[${window}])`);
}

/** How often a value fell in the window. */
export function resets<M extends GaugeName>(
  name: M,
  window: string,
  matchers: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return primary(`resets(${selector(name, matchers)}[${window}])`);
}

/**
 * The series of a recording rule, with the labels of its rule. Recording rules build typed functions on top
 * of this.
 */
export function recordedSeries<L extends string>(name: string, matchers: Matchers<L>): Vector<L> {
  return primary(selector(name, matchers));
}

/** The samples of such a series in a window. */
export function recordedRange<L extends string>(
  name: string,
  window: string,
  matchers: Matchers<L>,
): RangeVector<L> {
  return { range: `${selector(name, matchers)}[${window}]` };
}

/** The values of an expression in a window, one per `resolution`. */
export function subquery<L extends string>(of: Vector<L>, window: string, resolution = ''): RangeVector<L> {
  return { range: `${asPrimary(of)}[${window}:${resolution}]` };
}

/** A range that ends at the end of the query range: one value for the whole range. */
export function atEnd<L extends string>({ range }: RangeVector<L>): RangeVector<L> {
  return { range: `${range} @ end()` };
}

/** Query of a dashboard variable: the values of a metric's label. */
export function labelValues<M extends GaugeName, L extends SeriesLabels<M>>(
  name: M,
  label: L,
  matchers: Matchers<SeriesLabels<M>> = {},
): string {
  return `label_values(${selector(name, matchers)}, ${label})`;
}

/** Query of a dashboard variable for labels that no metric has directly. Keeps the order of the values. */
export function queryResult({ promql }: Expression): string {
  return `query_result(${promql})`;
}
