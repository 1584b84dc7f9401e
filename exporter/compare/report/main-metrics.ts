import type { Assessment } from '../statistics/assessment.ts';

export type Metric = Assessment['metrics'][number];

/** The metrics that describe a configuration best, in this order. */
const MAIN = ['iops', 'latency_mean', 'exits_per_io', 'cpu_per_1000_ios', 'cpu', 'latency_p99'];
const MOST = 4;

/** Metrics that have a value in some configuration. */
export function measuredMetrics({ metrics, configurations }: Assessment): Metric[] {
  return metrics.filter(({ id }) =>
    configurations.some(({ estimates }) => estimates.get(id)?.value !== undefined),
  );
}

/** The at most four metrics that the report names first: those for one I/O if the work differed. */
export function mainMetrics(assessment: Assessment): Metric[] {
  const isSameWork = assessment.configurations.every(
    ({ againstFirst }) => (againstFirst?.differences.length ?? 0) === 0,
  );
  const rank = ({ id, isPerIo }: Metric): number => {
    if (!MAIN.includes(id)) return 2 * MAIN.length;
    return MAIN.indexOf(id) + (isSameWork || isPerIo ? 0 : MAIN.length);
  };
  return measuredMetrics(assessment)
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, MOST);
}

/** Those that are measured and not among the main ones. */
export function otherMetrics(assessment: Assessment): Metric[] {
  const main = mainMetrics(assessment);
  return measuredMetrics(assessment).filter((metric) => !main.includes(metric));
}
