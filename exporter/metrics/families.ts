import { catalogue, type HistogramName, type LabelsOf, type MetricName } from './catalogue.ts';
import type { LabelBlock } from './labels.ts';
import { type Cut, ownerOf, Shares } from './shares.ts';

/** While it gathers, a collection holds at most this many times what it may deliver. */
const MAX_EXCESS = 2;

/** All samples of one metric: `labels[i]` belongs to `values[i]`. */
export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: string[];
  readonly values: number[];
  /** Of a histogram: `_bucket`, `_sum` or `_count` for each sample. */
  readonly suffixes: string[];
}

type FamilyHead = Pick<Family, 'name' | 'type' | 'help'>;

export interface HistogramSample {
  /** Cumulative counts, bounds ascending, without `+Inf`. */
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
  readonly count: number;
  readonly sum: number | undefined;
}

/**
 * What one collection gathers. Built anew for each, so nothing of a departed VM can be left over. Up to `maxSeries` samples
 * are taken as they come; beyond, each VM has its share ({@link Shares}), and {@link settle} takes out what is over it.
 */
export class Families {
  readonly #families = new Map<string, Family>();
  readonly #maxSeries: number;
  #series = 0;
  /** Taken, and taken out again. */
  #trimmed = 0;
  /** Only where they do not all fit. */
  #shares: Shares | undefined;
  /** Up to so many series, nobody needs to ask for room. */
  #freeUpTo: number;

  constructor(maxSeries: number) {
    this.#maxSeries = maxSeries;
    this.#freeUpTo = maxSeries;
  }

  /** Series in it. */
  get series(): number {
    return this.#series;
  }

  /** Series taken so far, though some were taken out later. */
  get taken(): number {
    return this.#series + this.#trimmed;
  }

  /** Series left out because of `maxSeries`. */
  get dropped(): number {
    return this.#shares?.dropped ?? 0;
  }

  /** Whose series were left out. */
  get cuts(): readonly Cut[] {
    return this.#shares?.cuts ?? [];
  }

  /** A sample of a metric of the catalogue. A value that is not a finite number is no sample. */
  add<M extends MetricName>(name: M, labels: LabelBlock<LabelsOf<M>>, value: number): void {
    this.#push(this.#families.get(name) ?? this.#fromCatalogue(name), labels, value);
  }

  /** A sample of a metric whose name only the running kernel knows. */
  addNamed<L extends string>(metric: FamilyHead, labels: LabelBlock<L>, value: number): void {
    this.#push(this.#families.get(metric.name) ?? this.#start(metric), labels, value);
  }

  /** A histogram of one entity: all its buckets, or none where the room does not suffice. `+Inf` is made from count. */
  addHistogram<M extends HistogramName>(
    name: M,
    labels: LabelBlock<LabelsOf<M>>,
    { buckets, count, sum }: HistogramSample,
  ): void {
    const family = this.#families.get(name) ?? this.#fromCatalogue(name);
    const size = buckets.length + 2 + (sum === undefined ? 0 : 1);
    if (this.#series + size > this.#freeUpTo && !this.#hasRoom(labels, size)) return;
    this.#series += size;
    const push = (suffix: string, block: string, value: number): void => {
      family.suffixes.push(suffix);
      family.labels.push(block);
      family.values.push(value);
    };
    for (const bucket of buckets) push('_bucket', `${labels},le="${bucket.le}"`, bucket.count);
    push('_bucket', `${labels},le="+Inf"`, count);
    if (sum !== undefined) push('_sum', labels, sum);
    push('_count', labels, count);
  }

  /** Takes out what is over the shares. Call it when all is gathered. */
  settle(): void {
    const { host, vm } = this.#shares?.weigh() ?? {
      host: Number.POSITIVE_INFINITY,
      vm: Number.POSITIVE_INFINITY,
    };
    if (this.#shares === undefined || this.#series <= this.#maxSeries) return;
    const kept = new Map<string, number>();
    const before = this.#series;
    for (const family of this.#families.values()) {
      compact(family, (labels, size) => {
        const owner = ownerOf(labels);
        const count = (kept.get(owner) ?? 0) + size;
        if (count > (owner === '' ? host : vm)) return false;
        kept.set(owner, count);
        return true;
      });
    }
    this.#shares.recount(kept);
    this.#series = this.#shares.kept;
    this.#trimmed += before - this.#series;
  }

  #hasRoom(labels: string, size: number): boolean {
    const shares = this.#shares ?? this.#count();
    if (this.#series + size > this.#maxSeries * MAX_EXCESS) this.settle();
    return shares.admits(ownerOf(labels), size);
  }

  /** From here on it is known who has how many. */
  #count(): Shares {
    const shares = new Shares(this.#maxSeries);
    for (const { labels } of this.#families.values())
      for (const each of labels) shares.count(ownerOf(each), 1);
    this.#shares = shares;
    this.#freeUpTo = Number.NEGATIVE_INFINITY;
    return shares;
  }

  /** As it is now: what is added later is not in it. */
  copy(): Families {
    const copy = new Families(this.#maxSeries);
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

  /** In order of name. */
  sorted(): Family[] {
    return [...this.#families.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Room for samples that must never be dropped: the exporter's own. */
  addUnlimited<M extends MetricName>(name: M, labels: LabelBlock<LabelsOf<M>>, value: number): void {
    const family = this.#families.get(name) ?? this.#fromCatalogue(name);
    family.labels.push(labels);
    family.values.push(value);
  }

  #push(family: Family, labels: string, value: number): void {
    if (!Number.isFinite(value)) return;
    if (this.#series >= this.#freeUpTo && !this.#hasRoom(labels, 1)) return;
    this.#series++;
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
    const family: Family = { name, type, help, labels: [], values: [], suffixes: [] };
    this.#families.set(name, family);
    return family;
  }
}

/** Keeps the samples that are wanted, in place; a histogram of one entity as a whole. */
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
