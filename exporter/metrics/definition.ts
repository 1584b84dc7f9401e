/** One metric, once: everything that the exposition, the reference and the dashboards need to know of it. */
export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Label names in the order in which they are written. */
  readonly labels: readonly string[];
  /** Where the value comes from: a kernel file or the exporter itself. */
  readonly source: string;
}
