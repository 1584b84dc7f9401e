import { catalogue, type HistogramName, type LabelsOf, type MetricName } from './catalogue.ts';
import { LabelCache } from './label-cache.ts';
import type { LabelBlock, LabelValue } from './labels.ts';
import type { Exports } from './profiles.ts';
import { Samples } from './samples.ts';
import { type Cut, ownerOf, Shares } from './shares.ts';

/** During a collection, at most this many times maxSeries is kept in memory. */
const MAX_EXCESS = 2;

/** All samples of one metric: `labels[i]` belongs to `values[i]`. Nothing changes after the collection. */
export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  readonly values: ArrayLike<number> & Iterable<number>;
  /** For histograms: `_bucket`, `_sum` or `_count` of each sample. */
  readonly suffixes: readonly string[];
  /** Not in the exposition: only for the live page and recordings. */
  readonly isHidden?: boolean;
}

/** The labels of one series, by name and in the metric's order, or formatted before. */
type Labels<L extends string> = LabelBlock<L> | Readonly<Record<L, LabelValue>>;

type FamilyHead = Pick<Family, 'name' | 'type' | 'help'>;

/** A family of the collection that runs. */
interface OpenFamily {
  readonly head: FamilyHead & Pick<Family, 'isHidden'>;
  readonly samples: Samples;
}

export interface HistogramSample {
  /** Cumulative counts with ascending bounds, without `+Inf`. */
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
  readonly count: number;
  readonly sum: number | undefined;
}

/**
 * The samples of one collection. Created for each collection, so no series of a removed VM can remain. Up to
 * `maxSeries` samples are accepted in order. Above that, each VM gets its share ({@link Shares}), and {@link
 * settle} removes the excess.
 */
export class Families {
  readonly #families = new Map<string, OpenFamily>();
  readonly #maxSeries: number;
  readonly #exports: Exports;
  #series = 0;
  /** Series that are not exported. As many as `maxSeries` are kept, without shares. */
  #hidden = 0;
  /** Series that were accepted and later removed. */
  #trimmed = 0;
  /** Set only if there are more series than fit. */
  #shares: Shares | undefined;
  /** No check for room is needed up to this number of series. */
  #freeUpTo: number;

  /** @param labels blocks of the collections before */
  constructor(
    maxSeries: number,
    exports: Exports = () => true,
    private readonly labels = new LabelCache(),
  ) {
    this.#maxSeries = maxSeries;
    this.#exports = exports;
    this.#freeUpTo = maxSeries;
  }

  /** Number of exported series. */
  get series(): number {
    return this.#series;
  }

  /** Series accepted so far, including those removed later and those that are not exported. */
  get taken(): number {
    return this.#series + this.#trimmed + this.#hidden;
  }

  /** Series left out because of `maxSeries`. */
  get dropped(): number {
    return this.#shares?.dropped ?? 0;
  }

  /** Owners whose series were left out. */
  get cuts(): readonly Cut[] {
    return this.#shares?.cuts ?? [];
  }

  /** Adds a sample of a metric from the catalogue. Ignores values that are not finite. */
  add<M extends MetricName>(name: M, labels: Labels<LabelsOf<M>>, value: number): void {
    this.#push(this.#families.get(name) ?? this.#fromCatalogue(name), this.block(labels), value);
  }

  /** Adds a sample of a metric whose name comes from the running kernel. */
  addNamed<L extends string>(metric: FamilyHead, labels: Labels<L>, value: number): void {
    this.#push(this.#families.get(metric.name) ?? this.#start(metric), this.block(labels), value);
  }

  /**
   * Adds a sample for each of the entities, such as vCPUs, from a table: the value of entity `i` is
   * `values[first + i * step] / divisor`.
   */
  addColumn<L extends string>(
    metric: FamilyHead & { readonly divisor: number },
    entities: readonly LabelBlock<L>[],
    { values, first, step }: { readonly values: Float64Array; readonly first: number; readonly step: number },
  ): void {
    const family = this.#families.get(metric.name) ?? this.#start(metric);
    entities.forEach((labels, i) => {
      this.#push(family, labels, (values[first + i * step] ?? Number.NaN) / metric.divisor);
    });
  }

  /** Labels for several series of one entity, formatted once. */
  block<L extends string>(labels: Labels<L>): LabelBlock<L> {
    return typeof labels === 'string' ? labels : this.labels.of(labels);
  }

  /** Adds a histogram of one entity: all buckets, or none if they do not fit. `+Inf` comes from count. */
  addHistogram<M extends HistogramName>(
    name: M,
    labels: Labels<LabelsOf<M>>,
    { buckets, count, sum }: HistogramSample,
  ): void {
    const family = this.#families.get(name) ?? this.#fromCatalogue(name);
    const size = buckets.length + 2 + (sum === undefined ? 0 : 1);
    const all = this.block(labels);
    if (!this.#admits(family, all, size)) return;
    const { samples } = family;
    for (const bucket of buckets)
      samples.pushWithSuffix('_bucket', this.labels.bucket(all, bucket.le), bucket.count);
    samples.pushWithSuffix('_bucket', this.labels.bucket(all, Number.POSITIVE_INFINITY), count);
    if (sum !== undefined) samples.pushWithSuffix('_sum', all, sum);
    samples.pushWithSuffix('_count', all, count);
  }

  /** Removes the series above the shares. Call it after all samples were added. */
  settle(): void {
    if (this.#shares === undefined) return;
    const { host, vm, spare } = this.#shares.weigh();
    if (this.#series <= this.#maxSeries) return;
    let left = spare;
    const kept = new Map<string, number>();
    const before = this.#series;
    for (const { samples } of this.#exported()) {
      samples.keep((labels, size) => {
        const owner = ownerOf(labels);
        const count = (kept.get(owner) ?? 0) + size;
        const isExtra = count > (owner === '' ? host : vm);
        if (isExtra && (owner === '' || count > vm + 1 || left === 0)) return false;
        if (isExtra) left--;
        kept.set(owner, count);
        return true;
      });
    }
    this.#shares.recount(kept);
    this.#series = this.#shares.kept;
    this.#trimmed += before - this.#series;
  }

  /** Counts the samples if there is room for them. */
  #admits({ head }: OpenFamily, labels: string, size: number): boolean {
    if (head.isHidden) {
      if (this.#hidden + size > this.#maxSeries) return false;
      this.#hidden += size;
      return true;
    }
    if (this.#series + size > this.#freeUpTo && !this.#hasRoom(labels, size)) return false;
    this.#series += size;
    return true;
  }

  #hasRoom(labels: string, size: number): boolean {
    const shares = this.#shares ?? this.#count();
    if (this.#series + size > this.#maxSeries * MAX_EXCESS) this.settle();
    return shares.admits(ownerOf(labels), size);
  }

  #exported(): OpenFamily[] {
    return [...this.#families.values()].filter(({ head }) => !head.isHidden);
  }

  /** Starts to count series by owner. */
  #count(): Shares {
    const shares = new Shares(this.#maxSeries);
    for (const { samples } of this.#exported())
      for (const each of samples.lists.labels) shares.count(ownerOf(each), 1);
    this.#shares = shares;
    this.#freeUpTo = Number.NEGATIVE_INFINITY;
    return shares;
  }

  /** An independent copy of the current content. */
  copy(): Families {
    const copy = new Families(this.#maxSeries, this.#exports, this.labels);
    copy.#hidden = this.#hidden;
    copy.#series = this.#series;
    copy.#trimmed = this.#trimmed;
    copy.#shares = this.#shares?.copy();
    copy.#freeUpTo = this.#freeUpTo;
    for (const [name, { head, samples }] of this.#families)
      copy.#families.set(name, { head, samples: samples.copy() });
    return copy;
  }

  /** Sorted by name. Nothing may be added afterwards. */
  sorted(): Family[] {
    return [...this.#families.values()]
      .map(({ head, samples }) => ({ ...head, ...samples.lists }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Adds a sample that must never be dropped: one of the exporter's own. */
  addUnlimited<M extends MetricName>(name: M, labels: Labels<LabelsOf<M>>, value: number): void {
    const family = this.#families.get(name) ?? this.#fromCatalogue(name);
    family.samples.push(this.block(labels), value);
  }

  #push(family: OpenFamily, labels: string, value: number): void {
    if (!Number.isFinite(value)) return;
    if (!this.#admits(family, labels, 1)) return;
    family.samples.push(labels, value);
  }

  #fromCatalogue(name: string): OpenFamily {
    const definition = catalogue[name];
    if (definition === undefined) throw new Error(`${name} is not in the catalogue`);
    return this.#start({ name, type: definition.type, help: definition.help });
  }

  #start({ name, type, help }: FamilyHead): OpenFamily {
    const head = { name, type, help, isHidden: !this.#exports(name) };
    const family = { head, samples: new Samples(this.labels.listOf(name)) };
    this.#families.set(name, family);
    return family;
  }
}
