import { groupBy } from '../../kernel/maps.ts';
import type { Series } from '../prometheus/series.ts';
import type { Archive, Selector } from './archive.ts';
import type { Span } from './model.ts';

/** A series in memory: millions of samples take 16 bytes each. */
export interface KeptSeries {
  /** With the metric in the label `__name__`. */
  readonly labels: Series['labels'];
  /** Seconds of the epoch, ascending. */
  readonly times: readonly number[];
  readonly values: readonly number[];
}

/** Samples in memory, as a recording has them. */
export class MemoryArchive implements Archive {
  readonly ifEmpty = 'give another file, or another time';
  readonly #byMetric: ReadonlyMap<string, readonly KeptSeries[]>;

  constructor(
    readonly name: string,
    series: readonly KeptSeries[],
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
    const isWanted = ({ labels }: KeptSeries): boolean =>
      Object.entries(wanted).every(([label, values]) => values.includes(labels[label] ?? ''));
    const found: Series[] = [];
    for (const series of this.#byMetric.get(metric) ?? []) {
      if (!isWanted(series)) continue;
      const samples: [number, number][] = [];
      for (const [i, at] of series.times.entries())
        if (at >= start && at <= end) samples.push([at, series.values[i] ?? Number.NaN]);
      if (samples.length > 0) found.push({ labels: series.labels, samples });
    }
    return found;
  }
}
