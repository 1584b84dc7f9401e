import type { HistogramName, LabelsOf, MetricName } from '../exporter/metrics/catalogue.ts';
import type { ownMetrics } from '../exporter/metrics/self.ts';

/** Labels that Prometheus adds to each series of a target. */
export type Target = 'job' | 'instance';

/** Metrics of the exporter's process, kept by prom-client. */
type OwnName = keyof typeof ownMetrics;
/** Written by Prometheus at each scrape, or by prom-client's default metrics. Not in the catalogue. */
type ForeignGauge =
  | 'up'
  | 'scrape_duration_seconds'
  | 'scrape_samples_scraped'
  | 'process_resident_memory_bytes'
  | 'process_start_time_seconds'
  | 'process_open_fds'
  | 'nodejs_eventloop_lag_p99_seconds';
type ForeignCounter = 'process_cpu_seconds_total';

export type CounterName = Extract<MetricName | OwnName, `${string}_total`> | ForeignCounter;
export type GaugeName =
  | Exclude<MetricName | Exclude<OwnName, `${string}_duration_seconds`>, HistogramName | `${string}_total`>
  | ForeignGauge;
export type Histogram = HistogramName | Extract<OwnName, `${string}_duration_seconds`>;

/** Label names of a series in Prometheus. */
export type SeriesLabels<M extends string> =
  | Target
  | (M extends MetricName | HistogramName
      ? LabelsOf<M>
      : M extends OwnName
        ? (typeof ownMetrics)[M]['labels'][number]
        : never);

/** An operator and a quoted value: `equal('kick')`, `matching('$vm')`. */
export type Matcher = `${'=' | '!=' | '=~' | '!~'}"${string}"`;
export type Matchers<L extends string> = { readonly [K in L]?: Matcher };

export const equal = (value: string): Matcher => `="${escapeString(value)}"`;
/** Prometheus anchors regular expressions. */
export const matching = (regex: string): Matcher => `=~"${escapeString(regex)}"`;
export const unmatching = (regex: string): Matcher => `!~"${escapeString(regex)}"`;

function escapeString(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}

declare const labels: unique symbol;

/**
 * A PromQL instant vector whose series have the labels `L`. Names that are not in the catalogue do not
 * compile.
 */
export type Vector<L extends string> = string & { readonly [labels]: (label: L) => L };

function vector<L extends string>(promql: string): Vector<L> {
  return promql as Vector<L>;
}

function selector(name: string, matchers: object): string {
  const entries = Object.entries(matchers).map(([label, matcher]) => `${label}${matcher}`);
  return entries.length === 0 ? name : `${name}{${entries.join(',')}}`;
}

/** The current value of a gauge. */
export function gauge<M extends GaugeName>(
  name: M,
  matchers: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return vector(selector(name, matchers));
}

/** Per-second rate of a counter. */
export function rate<M extends CounterName>(
  name: M,
  window: string,
  matchers: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return vector(`rate(${selector(name, matchers)}[${window}])`);
}

/** Increase of a counter over the window. */
export function increase<M extends CounterName>(
  name: M,
  window: string,
  matchers: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return vector(`increase(${selector(name, matchers)}[${window}])`);
}

/** Per-second rate of a histogram's buckets (with the label `le`), its sum or its count. */
export function rateOf<M extends Histogram, P extends 'bucket' | 'sum' | 'count'>(
  name: M,
  part: P,
  window: string,
  matchers: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M> | (P extends 'bucket' ? 'le' : never)> {
  return vector(`rate(${selector(`${name}_${part}`, matchers)}[${window}])`);
}

type OverTime = 'min' | 'max' | 'avg' | 'sum' | 'count' | 'last';

/** An aggregation of a gauge over a window. */
export function overTime<M extends GaugeName>(
  what: OverTime,
  name: M,
  window: string,
  matchers: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return vector(`${what}_over_time(${selector(name, matchers)}[${window}])`);
}

/** The value of a gauge the given time ago (`offset`). */
export function past<M extends GaugeName>(
  name: M,
  ago: string,
  matchers: Matchers<SeriesLabels<M>> = {},
): Vector<SeriesLabels<M>> {
  return vector(`${selector(name, matchers)} offset ${ago}`);
}

/**
 * The series of a recording rule, with the labels of its rule. Recording rules build typed functions on top
 * of this.
 */
export function recordedSeries<L extends string>(name: string, matchers: Matchers<L>): Vector<L> {
  return vector(selector(name, matchers));
}

/** An aggregation over a subquery of any vector. */
export function subquery<L extends string>(
  what: OverTime,
  of: Vector<L>,
  window: string,
  resolution = '',
): Vector<L> {
  return vector(`${what}_over_time((${of})[${window}:${resolution}])`);
}

/**
 * An aggregation of any vector over a window that ends at the end of the query range: one number for the
 * whole range.
 */
export function overRange<L extends string>(
  what: OverTime,
  of: Vector<L>,
  window: string,
  resolution: string,
): Vector<L> {
  return vector(`${what}_over_time((${of})[${window}:${resolution}] @ end())`);
}

/** A number as a series without labels. */
export function constant(value: number): Vector<never> {
  return vector(`vector(${value})`);
}

/** Sorted by value, ascending or descending. */
export function sorted<L extends string>(of: Vector<L>, isDescending = false): Vector<L> {
  return vector(`${isDescending ? 'sort_desc' : 'sort'}(${of})`);
}

/** Number of series per value. The value becomes a label. */
export function countValues<L extends string, N extends string, const B extends readonly L[]>(
  label: N,
  of: Vector<L>,
  by: B,
): Vector<B[number] | N> {
  return vector(`count_values by (${by.join(', ')}) ("${label}", ${of})`);
}

/** Time of each sample, in seconds of the epoch. */
export function timestamp<L extends string>(of: Vector<L>): Vector<L> {
  return vector(`timestamp(${of})`);
}

/** A quantile over time of any vector, as a subquery. */
export function quantileOverTime<L extends string>(
  quantile: number,
  of: Vector<L>,
  window: string,
  resolution: string,
): Vector<L> {
  return vector(`quantile_over_time(${quantile}, (${of})[${window}:${resolution}])`);
}

type Aggregation = 'sum' | 'min' | 'max' | 'avg' | 'count' | 'group';

export function aggregate<L extends string, const B extends readonly L[]>(
  how: Aggregation,
  of: Vector<L>,
  by: B,
): Vector<B[number]> {
  return vector(`${how}${by.length === 0 ? '' : ` by (${by.join(', ')})`} (${of})`);
}

/** The k largest series, with all their labels. */
export function topk<L extends string>(k: number, of: Vector<L>): Vector<L> {
  return vector(`topk(${k}, ${of})`);
}

export function sum<L extends string, const B extends readonly L[]>(of: Vector<L>, by: B): Vector<B[number]> {
  return aggregate('sum', of, by);
}

/** A quantile of a histogram. Sum its buckets by `le` and by the labels to keep. */
export function histogramQuantile<L extends string>(
  quantile: number,
  buckets: Vector<L | 'le'>,
): Vector<Exclude<L, 'le'>> {
  return vector(`histogram_quantile(${quantile}, ${buckets})`);
}

/** Arithmetic between vectors with the same labels, or between a vector and a number. */
export function times<L extends string>(a: Vector<L>, b: Vector<L> | number): Vector<L> {
  return vector(`(${a}) * ${operand(b)}`);
}
export function dividedBy<L extends string>(a: Vector<L>, b: Vector<L> | number): Vector<L> {
  return vector(`(${a}) / ${operand(b)}`);
}
export function plus<L extends string>(a: Vector<L>, b: Vector<L> | number): Vector<L> {
  return vector(`(${a}) + ${operand(b)}`);
}
export function minus<L extends string>(a: Vector<L>, b: Vector<L> | number): Vector<L> {
  return vector(`(${a}) - ${operand(b)}`);
}

/** At least `floor`. */
export function clampMin<L extends string>(of: Vector<L>, floor: number): Vector<L> {
  return vector(`clamp_min(${of}, ${floor})`);
}

/** At most `ceiling`. */
export function clampMax<L extends string>(of: Vector<L>, ceiling: number): Vector<L> {
  return vector(`clamp_max(${of}, ${ceiling})`);
}

function operand(b: string | number): string {
  return typeof b === 'number' ? String(b) : `(${b})`;
}

/** Divides each series of `a` by the series of `b` with the same labels `on`. */
export function dividedByOn<L extends string, R extends string, const O extends readonly (L & R)[]>(
  a: Vector<L>,
  on: O,
  b: Vector<R>,
): Vector<L> {
  return vector(`(${a}) / on (${on.join(', ')}) group_left () (${b})`);
}

/**
 * Multiplies each series of `a` with the series of `b` with the same labels `on`, and copies the labels
 * `take` from `b`.
 */
export function joined<
  L extends string,
  R extends string,
  const O extends readonly (L & R)[],
  const T extends readonly R[],
>(a: Vector<L>, on: O, b: Vector<R>, take: T): Vector<L | T[number]> {
  return vector(`(${a}) * on (${on.join(', ')}) group_left (${take.join(', ')}) (${b})`);
}

/** Adds a label with a fixed value to each series. */
export function labelled<L extends string, N extends string>(
  of: Vector<L>,
  label: N,
  value: string,
): Vector<L | N> {
  return vector(`label_replace(${of}, "${label}", "${escapeString(value)}", "", "")`);
}

/** Copies the value of a label to another label. */
export function relabelled<L extends string, F extends L, N extends string>(
  of: Vector<L>,
  from: F,
  to: N,
): Vector<L | N> {
  return vector(`label_replace(${of}, "${to}", "$1", "${from}", "(.*)")`);
}

type Comparison = '>' | '<' | '>=' | '<=' | '==' | '!=';

/** Series that satisfy the comparison, with their values. */
export function where<L extends string>(a: Vector<L>, than: Comparison, b: Vector<L> | number): Vector<L> {
  return vector(`(${a}) ${than} ${operand(b)}`);
}

/** Series of `a` with (`and`) or without (`unless`) a matching series of `b` on the labels `on`. */
export function and<L extends string, R extends string, const O extends readonly (L & R)[]>(
  a: Vector<L>,
  on: O,
  b: Vector<R>,
): Vector<L> {
  return vector(`(${a}) and on (${on.join(', ')}) (${b})`);
}
export function unless<L extends string, R extends string, const O extends readonly (L & R)[]>(
  a: Vector<L>,
  on: O,
  b: Vector<R>,
): Vector<L> {
  return vector(`(${a}) unless on (${on.join(', ')}) (${b})`);
}

/** `a`, plus the series of `b` that `a` does not have. */
export function or<L extends string>(a: Vector<L>, b: Vector<L>): Vector<L> {
  return vector(`(${a}) or (${b})`);
}
/** `a`, plus the series of `b` without a match in `a` on the labels `on`. */
export function orOn<A extends string, B extends string, const O extends readonly (A & B)[]>(
  a: Vector<A>,
  on: O,
  b: Vector<B>,
): Vector<A & B> {
  return vector(`(${a}) or on (${on.join(', ')}) (${b})`);
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
export function queryResult<L extends string>(of: Vector<L>): string {
  return `query_result(${of})`;
}

/** The smaller value of two vectors with the same labels, where both have one. */
export function lesser<L extends string>(a: Vector<L>, b: Vector<L>): Vector<L> {
  return vector(`((${a}) <= (${b})) or ((${b}) < (${a}))`);
}
