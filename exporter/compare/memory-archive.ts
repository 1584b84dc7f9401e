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
    return [...this.#select(selector, time)].map(({ labels }) => labels);
  }

  async *presence(selector: Selector, time: Span): AsyncGenerator<Series[]> {
    for (const { labels, samples } of this.#select(selector, time))
      yield [{ labels, samples: samples.map(([at]) => [at, 1]) }];
  }

  /** One series in each piece: pairs take four times the memory. */
  async *samples(selector: Selector, time: Span): AsyncGenerator<Series[]> {
    for (const series of this.#select(selector, time)) yield [series];
  }

  *#select({ metric, labels: wanted }: Selector, { start, end }: Span): Generator<Series> {
    const isWanted = ({ labels }: KeptSeries): boolean =>
      Object.entries(wanted).every(([label, values]) => values.includes(labels[label] ?? ''));
    for (const { labels, times, values } of (this.#byMetric.get(metric) ?? []).filter(isWanted)) {
      const samples: [number, number][] = [];
      for (const [i, at] of times.entries())
        if (at >= start && at <= end) samples.push([at, values[i] ?? Number.NaN]);
      if (samples.length > 0) yield { labels, samples };
    }
  }
}
