import { groupBy } from '../../kernel/maps.ts';
import type { Series } from '../prometheus/series.ts';
import type { Archive, Selector } from './archive.ts';
import type { Span } from './model.ts';

/** Samples in memory, as a recording has them. */
export class MemoryArchive implements Archive {
  readonly #byMetric: ReadonlyMap<string, readonly Series[]>;

  /** @param series with the metric in the label `__name__`, and samples in order of time */
  constructor(
    readonly name: string,
    series: readonly Series[],
  ) {
    this.#byMetric = groupBy(series, ({ labels }) => labels['__name__'] ?? '');
  }

  async labelSets(selector: Selector, time: Span): Promise<Series['labels'][]> {
    return this.#select(selector, time).map(({ labels }) => labels);
  }

  async *presence(selector: Selector, time: Span): AsyncGenerator<Series[]> {
    yield this.#select(selector, time).map(({ labels, samples }) => ({
      labels,
      samples: samples.map(([at]) => [at, 1]),
    }));
  }

  async *samples(selector: Selector, time: Span): AsyncGenerator<Series[]> {
    yield this.#select(selector, time);
  }

  #select({ metric, labels: wanted }: Selector, { start, end }: Span): Series[] {
    const isWanted = ({ labels }: Series): boolean =>
      Object.entries(wanted).every(([label, values]) => values.includes(labels[label] ?? ''));
    return (this.#byMetric.get(metric) ?? [])
      .filter(isWanted)
      .map(({ labels, samples }) => ({ labels, samples: samples.filter(([at]) => at >= start && at <= end) }))
      .filter(({ samples }) => samples.length > 0);
  }
}
