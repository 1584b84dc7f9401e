import { catalogue, type HistogramName, type LabelsOf, type MetricName } from './catalogue.ts';
import type { LabelBlock } from './labels.ts';

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

/** What one collection gathers. Built anew for each, so nothing of a departed VM can be left over. */
export class Families {
  readonly #families = new Map<string, Family>();
  readonly #maxSeries: number;
  #series = 0;
  #dropped = 0;

  constructor(maxSeries: number) {
    this.#maxSeries = maxSeries;
  }

  /** Series taken so far. */
  get series(): number {
    return this.#series;
  }

  /** Series refused because `maxSeries` was reached. */
  get dropped(): number {
    return this.#dropped;
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
    if (this.#series + size > this.#maxSeries) {
      this.#dropped += size;
      return;
    }
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

  /** As it is now: what is added later is not in it. */
  copy(): Families {
    const copy = new Families(this.#maxSeries);
    copy.#series = this.#series;
    copy.#dropped = this.#dropped;
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
    if (this.#series >= this.#maxSeries) {
      this.#dropped++;
      return;
    }
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
