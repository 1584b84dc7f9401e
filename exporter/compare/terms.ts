import type { CounterName, GaugeName, SeriesLabels } from '../../promql/promql.ts';

/** Metrics of a VM. */
type OfVm<M extends string> = M extends string ? ('vm' extends SeriesLabels<M> ? M : never) : never;
export type VmCounter = OfVm<CounterName>;
export type VmGauge = OfVm<GaugeName>;

/** Series of a VM that are added up: all of a metric, or those with one of these values of a label. */
export interface Part {
  readonly metric: VmCounter | VmGauge;
  /** `growth` of a counter, or the `level` of a gauge; `samples` counts the series of a gauge. */
  readonly kind: 'growth' | 'level' | 'samples';
  readonly labels: Readonly<Record<string, readonly string[]>>;
  /** `max` where one series includes another. */
  readonly unite: 'sum' | 'max';
}

/**
 * A component of metrics: a sum of parts. For each VM the first alternative with samples is used. `time` is the time
 * that the VM was observed.
 */
export type Term = { readonly alternatives: readonly (readonly Part[])[] } | 'time';

type Only<M extends string> = { readonly [L in SeriesLabels<M>]?: readonly string[] };

/** The growth of a counter. @param only values of labels; a label that the metric does not have does not compile */
export function growth<M extends VmCounter>(metric: M, only: Only<M> = {}): Term {
  return { alternatives: [[{ metric, kind: 'growth', labels: only as Part['labels'], unite: 'sum' }]] };
}

/** The growth of the series that grew most. */
export function largestGrowth(metric: VmCounter): Term {
  return { alternatives: [[{ metric, kind: 'growth', labels: {}, unite: 'max' }]] };
}

/** The sum of a gauge's series, and their number. */
export const level = (metric: VmGauge): Term => ofGauge(metric, 'level');
export const samplesOf = (metric: VmGauge): Term => ofGauge(metric, 'samples');

function ofGauge(metric: VmGauge, kind: 'level' | 'samples'): Term {
  return { alternatives: [[{ metric, kind, labels: {}, unite: 'sum' }]] };
}

/** The sum of terms: known only where each of them is. */
export function plus(...terms: readonly Term[]): Term {
  const all = terms
    .map(alternativesOf)
    .reduce((before, each) => before.flatMap((a) => each.map((b) => [...a, ...b])));
  return { alternatives: all };
}

/** The first of the terms that a VM has. */
export function first(...terms: readonly Term[]): Term {
  return { alternatives: terms.flatMap(alternativesOf) };
}

export function alternativesOf(term: Term): readonly (readonly Part[])[] {
  return term === 'time' ? [] : term.alternatives;
}

export function partsOf(terms: readonly Term[]): Part[] {
  return terms.flatMap(alternativesOf).flat();
}
