/** Typed PromQL on the metric catalogue. The functions have the names of PromQL's own functions and operators. */
export * from './aggregations.ts';
export type { RangeVector, Vector } from './expression.ts';
export * from './functions.ts';
export { equal, type Matcher, type Matchers, notEqual, notRegexp, regexp } from './matchers.ts';
export type { CounterName, GaugeName, SeriesLabels } from './names.ts';
export * from './operators.ts';
export * from './selectors.ts';
