import { catalogue, type HistogramName, type LabelsOf, type MetricName } from './catalogue.ts';
import { LabelCache } from './label-cache.ts';
import type { LabelBlock, LabelValue } from './labels.ts';
import type { Exports } from './profiles.ts';
import { type Cut, ownerOf, Shares } from './shares.ts';

/** During a collection, at most this many times maxSeries is kept in memory. */
const MAX_EXCESS = 2;

/** All samples of one metric: `labels[i]` belongs to `values[i]`. */
export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: string[];
  readonly values: number[];
  /** For histograms: `_bucket`, `_sum` or `_count` of each sample. */
  readonly suffixes: string[];
  /** Not in the exposition: only for the live page and recordings. */
  readonly isHidden?: boolean;
}

/** The labels of one series, by name and in the metric's order, or formatted before. */
type Labels<L extends string> = LabelBlock<L> | Readonly<Record<L, LabelValue>>;

type FamilyHead = Pick<Family, 'name' | 'type' | 'help'>;

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
  readonly #families = new Map<string, Family>();
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
    const push = (suffix: string, block: string, value: number): void => {
      family.suffixes.push(suffix);
      family.labels.push(block);
      family.values.push(value);
    };
    for (const bucket of buckets) push('_bucket', this.labels.bucket(all, bucket.le), bucket.count);
    push('_bucket', this.labels.bucket(all, Number.POSITIVE_INFINITY), count);
    if (sum !== undefined) push('_sum', all, sum);
    push('_count', all, count);
  }

  /** Removes the series above the shares. Call it after all samples were added. */
  settle(): void {
    if (this.#shares === undefined) return;
    const { host, vm, spare } = this.#shares.weigh();
    if (this.#series <= this.#maxSeries) return;
    let left = spare;
    const kept = new Map<string, number>();
    const before = this.#series;
    for (const family of this.#exported()) {
      compact(family, (labels, size) => {
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
  #admits({ isHidden }: Family, labels: string, size: number): boolean {
    if (isHidden) {
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

  #exported(): Family[] {
    return [...this.#families.values()].filter(({ isHidden }) => !isHidden);
  }

  /** Starts to count series by owner. */
  #count(): Shares {
    const shares = new Shares(this.#maxSeries);
    for (const { labels } of this.#exported()) for (const each of labels) shares.count(ownerOf(each), 1);
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
    for (const [name, { labels, values, suffixes, ...head }] of this.#families) {
      const arrays = { labels: [...labels], values: [...values], suffixes: [...suffixes] };
      copy.#families.set(name, { ...head, ...arrays });
    }
    return copy;
  }

  /** Sorted by name. */
  sorted(): Family[] {
    return [...this.#families.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Adds a sample that must never be dropped: one of the exporter's own. */
  addUnlimited<M extends MetricName>(name: M, labels: Labels<LabelsOf<M>>, value: number): void {
    const family = this.#families.get(name) ?? this.#fromCatalogue(name);
    family.labels.push(this.block(labels));
    family.values.push(value);
  }

  #push(family: Family, labels: string, value: number): void {
    if (!Number.isFinite(value)) return;
    if (!this.#admits(family, labels, 1)) return;
    family.labels.push(labels);
    family.values.push(value);
  }

  #fromCatalogue(name: string): Family {
    const definition = catalogue[name];
    if (definition === undefined) throw new Error(`${name} is not in the catalogue`);
    return this.#start({ name, type: definition.type, help: definition.help });
  }

  #start(metric: FamilyHead): Family {
    const { name, type, help } = metric;
    const isHidden = !this.#exports(name);
    const family: Family = { name, type, help, labels: [], values: [], suffixes: [], isHidden };
    this.#families.set(name, family);
    return family;
  }
}

/** Keeps the wanted samples, in place. A histogram of one entity is kept or removed as a whole. */
function compact(family: Family, isWanted: (labels: string, size: number) => boolean): void {
  const { labels, values, suffixes } = family;
  const isHistogram = family.type === 'histogram';
  let to = 0;
  for (let from = 0; from < values.length; ) {
    // `_count` is the last sample of an entity.
    const size = isHistogram ? suffixes.indexOf('_count', from) - from + 1 : 1;
    const wanted = isWanted(labels[from] ?? '', size);
    for (const end = from + size; from < end; from++) {
      if (!wanted) continue;
      labels[to] = labels[from] ?? '';
      values[to] = values[from] ?? Number.NaN;
      if (isHistogram) suffixes[to] = suffixes[from] ?? '';
      to++;
    }
  }
  labels.length = to;
  values.length = to;
  if (isHistogram) suffixes.length = to;
}
