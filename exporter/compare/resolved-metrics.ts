import type { HistogramName } from '../metrics/catalogue.ts';
import type { MetricDefinition, QuantileMetric, SumMetric } from './metrics.ts';
import { quantileOf } from './quantile.ts';
import type { Table } from './table.ts';
import { growth } from './terms.ts';

/** Metrics whose terms are known: a quantile has one for each bucket. A quantile without samples is left out. */
export function resolved(metrics: readonly MetricDefinition[], table: Table): SumMetric[] {
  return metrics.flatMap((metric) => ('terms' in metric ? metric : quantileMetric(metric, table)));
}

function quantileMetric(metric: QuantileMetric, table: Table): SumMetric[] {
  const { quantile, histograms, ...about } = metric;
  const histogram = histograms.find((name) => textsByBound(table, name).size > 0);
  if (histogram === undefined) return [];
  const buckets = [...textsByBound(table, histogram)].sort(([a], [b]) => a - b);
  const bounds = buckets.map(([bound]) => bound);
  return [
    {
      ...about,
      terms: buckets.map(([, texts]) => growth(`${histogram}_bucket`, { le: texts })),
      valueOf: (sums) => quantileOf(quantile, bounds, sums),
    },
  ];
}

/** Prometheus 3 writes 1.0 for what earlier versions wrote as 1. */
function textsByBound(table: Table, histogram: HistogramName): Map<number, string[]> {
  const texts = new Map<number, string[]>();
  for (const { metric, labels } of table.columns) {
    const le = labels['le'];
    if (metric !== `${histogram}_bucket` || le === undefined) continue;
    const bound = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le);
    texts.set(bound, [...(texts.get(bound) ?? []), le]);
  }
  return texts;
}
