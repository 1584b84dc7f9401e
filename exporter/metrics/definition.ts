/**
 * How a counter is computed if its source does not provide it directly. It never decreases while its subject
 * exists.
 */
export interface Derivation {
  /**
   * - `sum`: of parts that appear and disappear; the last value of a part is kept
   * - `difference`: of two counts that are not read at the same instant
   * - `choice`: between sources; a new source continues the counter by its own growth
   * - `growth`: of a number that wraps at 32 bits
   * - `sampled`: by the exporter on its own schedule
   */
  readonly kind: 'sum' | 'difference' | 'choice' | 'growth' | 'sampled';
  readonly how: string;
}

/** Definition of one metric, used by the exposition, the reference and the dashboards. */
export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Label names in the order of the exposition. */
  readonly labels: readonly string[];
  /** The source of the value: a kernel file or the exporter itself. */
  readonly source: string;
  /** Absent if the source provides the number directly. */
  readonly derived?: Derivation;
}

interface Metric<T extends MetricDefinition['type'], L extends readonly string[]> extends MetricDefinition {
  readonly type: T;
  readonly labels: L;
}

function metric<T extends MetricDefinition['type']>(type: T) {
  return <const L extends readonly string[]>(
    labels: L,
    help: string,
    source: string,
    derived?: Derivation,
  ): Metric<T, L> => ({ type, help, labels, source, ...(derived && { derived }) });
}

export const counter = metric('counter');
export const gauge = metric('gauge');
export const histogram = metric('histogram');

function derivation(kind: Derivation['kind']): (how: string) => Derivation {
  return (how) => ({ kind, how });
}

export const sum = derivation('sum');
export const difference = derivation('difference');
export const choice = derivation('choice');
export const growth = derivation('growth');
export const sampled = derivation('sampled');
