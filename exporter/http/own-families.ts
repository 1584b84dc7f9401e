import type { MetricObjectWithValues, MetricValue, MetricValueWithName, Registry } from 'prom-client';
import type { Family } from '../metrics/families.ts';
import { labelBlock } from '../metrics/labels.ts';

type OwnMetric = MetricObjectWithValues<MetricValue<string> | MetricValueWithName<string>>;

/**
 * The exporter's own metrics, which prom-client counts, as families. prom-client's text is not used: after it
 * has written OpenMetrics once, it leaves out the suffix `_total` in the text format, too.
 */
export async function ownFamilies(registry: Registry): Promise<Family[]> {
  const metrics = (await registry.getMetricsAsJSON()) as readonly OwnMetric[];
  return metrics.map(familyOf);
}

function familyOf({ name, help, type, values }: OwnMetric): Family {
  // prom-client's types declare an enum; at run time the value is a string.
  const word = String(type);
  if (word !== 'counter' && word !== 'gauge' && word !== 'histogram')
    throw new TypeError(`${name}: the exporter has no metrics of the type ${word}`);
  // Members in the order of the other families, so that V8 sees one shape.
  return {
    name,
    type: word,
    help,
    labels: values.map(({ labels }) => labelBlock(labels)),
    values: values.map(({ value }) => value),
    suffixes: values.map((sample) =>
      'metricName' in sample ? (sample.metricName ?? name).slice(name.length) : '',
    ),
  };
}
