import { catalogue, type LabelsOf, type MetricName } from './catalogue.ts';
import type { LabelBlock } from './labels.ts';

/** All samples of one metric: `labels[i]` belongs to `values[i]`. */
export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly labels: string[];
  readonly values: number[];
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
  addNamed(metric: Omit<Family, 'labels' | 'values'>, labels: LabelBlock<'vm'>, value: number): void {
    this.#push(this.#families.get(metric.name) ?? this.#start(metric), labels, value);
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
    if (definition === undefined || definition.type === 'histogram') {
      throw new Error(`${name} is not in the catalogue as a counter or gauge`);
    }
    return this.#start({ name, type: definition.type, help: definition.help });
  }

  #start(metric: Omit<Family, 'labels' | 'values'>): Family {
    const family: Family = {
      name: metric.name,
      type: metric.type,
      help: metric.help,
      labels: [],
      values: [],
    };
    this.#families.set(metric.name, family);
    return family;
  }
}
