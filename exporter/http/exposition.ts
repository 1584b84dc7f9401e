import { type Metric, Registry } from 'prom-client';
import type { Family } from '../metrics/families.ts';
import { Yielder } from '../schedule/yielder.ts';

export type ContentType = typeof Registry.OPENMETRICS_CONTENT_TYPE | typeof Registry.PROMETHEUS_CONTENT_TYPE;

/** Lines per chunk: large enough to be efficient, small enough not to block the event loop. */
const LINES_PER_CHUNK = 1000;

/**
 * prom-client's registry with constant metrics: families of one scrape whose labels are already formatted.
 * prom-client formats label by label, which takes 20 times as long.
 */
class ConstRegistry extends Registry {
  readonly #families = new Map<object, Family>();

  addFamily(family: Family): void {
    const metric = {
      name: family.name,
      help: family.help,
      type: family.type,
      get: () => Promise.resolve({ ...family, aggregator: 'sum', values: [] }),
    };
    this.#families.set(metric, family);
    // prom-client's types require one of its classes. At run time any object with get() is a metric.
    this.registerMetric(metric as unknown as Metric);
  }

  familyOf(metric: object): Family | undefined {
    return this.#families.get(metric);
  }
}

/**
 * Yields the exposition in chunks, so that it never has to be in memory as a whole and does not block the
 * event loop.
 *
 * @param families of one collection
 * @param own the exporter's own metrics, which remain valid across collections
 */
export async function* exposition(
  families: readonly Family[],
  own: Registry,
  contentType: ContentType,
): AsyncGenerator<string> {
  const registry = new ConstRegistry();
  registry.setContentType(contentType as typeof Registry.PROMETHEUS_CONTENT_TYPE);
  for (const family of families) registry.addFamily(family);
  for (const metric of own.getMetricsAsArray()) registry.registerMetric(metric as unknown as Metric);

  const isOpenMetrics = contentType === Registry.OPENMETRICS_CONTENT_TYPE;
  const yielder = new Yielder();
  for (const metric of registry.getMetricsAsArray()) {
    const family = registry.familyOf(metric);
    if (family === undefined) {
      yield await ownMetric(registry, metric as unknown as Metric, isOpenMetrics);
      continue;
    }
    yield header(family, isOpenMetrics);
    for (let start = 0; start < family.values.length; start += LINES_PER_CHUNK) {
      if (yielder.isDue()) await yielder.yield();
      yield lines(family, start);
    }
  }
  if (isOpenMetrics) yield '# EOF\n';
}

/** The HELP and TYPE lines. */
export function header({ name, help, type }: Family, isOpenMetrics: boolean): string {
  // In OpenMetrics, the name of a counter's family lacks the suffix `_total`.
  const family = isOpenMetrics && type === 'counter' ? name.replace(/_total$/, '') : name;
  return `# HELP ${family} ${escapeHelp(help, isOpenMetrics)}\n# TYPE ${family} ${type}\n`;
}

function lines({ name, type, labels, values, suffixes }: Family, start: number): string {
  const end = Math.min(start + LINES_PER_CHUNK, values.length);
  const isHistogram = type === 'histogram';
  let text = '';
  for (let i = start; i < end; i++) {
    const block = labels[i];
    const sample = isHistogram ? name + suffixes[i] : name;
    text += block === '' ? `${sample} ${values[i]}\n` : `${sample}{${block}} ${values[i]}\n`;
  }
  return text;
}

function escapeHelp(help: string, isOpenMetrics: boolean): string {
  const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return isOpenMetrics ? escaped.replaceAll('"', '\\"') : escaped;
}

/**
 * prom-client formats its own metrics. Its metrics() would permanently rename the counter for OpenMetrics.
 */
async function ownMetric(registry: Registry, metric: Metric, isOpenMetrics: boolean): Promise<string> {
  const named = metric as unknown as { name: string; get(): Promise<{ type: unknown }> };
  const { type } = await named.get();
  if (!isOpenMetrics || type !== 'counter') return `${await asString(registry, metric)}\n`;
  const short = Object.create(metric, {
    get: { value: async () => ({ ...(await named.get()), name: named.name.replace(/_total$/, '') }) },
  }) as Metric;
  return `${await asString(registry, short)}\n`;
}

async function asString(registry: Registry, metric: Metric): Promise<string> {
  const { getMetricsAsString } = registry as unknown as {
    getMetricsAsString(metric: Metric): Promise<string>;
  };
  // OpenMetrics spells it NaN, prom-client Nan.
  return (await getMetricsAsString.call(registry, metric)).replace(/ Nan$/gm, ' NaN');
}
