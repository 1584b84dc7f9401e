/** How a counter is made that its source does not have as it is. None of them falls while its subject lives. */
export interface Derivation {
  /**
   * - `sum`: of parts that come and go; what a part had stays
   * - `difference`: of two counts that are not read at the same instant
   * - `choice`: between sources; another one goes on by its own growth
   * - `growth`: of a number that begins anew after 32 bits
   * - `sampled`: what the exporter saw at instants of its own
   */
  readonly kind: 'sum' | 'difference' | 'choice' | 'growth' | 'sampled';
  readonly how: string;
}

/** One metric, once: everything that the exposition, the reference and the dashboards need to know of it. */
export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Label names in the order in which they are written. */
  readonly labels: readonly string[];
  /** Where the value comes from: a kernel file or the exporter itself. */
  readonly source: string;
  /** Absent where the source has the very number. */
  readonly derived?: Derivation;
}

function derivation(kind: Derivation['kind']): (how: string) => Derivation {
  return (how) => ({ kind, how });
}

export const sum = derivation('sum');
export const difference = derivation('difference');
export const choice = derivation('choice');
export const growth = derivation('growth');
export const sampled = derivation('sampled');
