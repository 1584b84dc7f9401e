import { withRoom } from '../../kernel/floats.ts';

/** Labels and suffixes of all samples of a family, in order. An earlier collection's list is never changed. */
export interface LabelList {
  readonly labels: readonly string[];
  /** Only of histograms. */
  readonly suffixes: readonly string[];
}

const EMPTY: LabelList = { labels: [], suffixes: [] };
const MIN_VALUES = 8;

/**
 * Samples of one family in one collection. Nearly all families have the labels of the collection before, in the same order: its
 * lists are used as they are, until a label differs. Values are outside of V8's heap, so the garbage collector does not move them.
 */
export class Samples {
  #labels: string[];
  #suffixes: string[];
  /** Whether the lists belong to an earlier collection. */
  #isBorrowed = true;
  #values: Float64Array;
  #length = 0;

  /** @param before the lists of the collection before */
  constructor({ labels, suffixes }: LabelList = EMPTY) {
    // Not changed while they are borrowed.
    this.#labels = labels as string[];
    this.#suffixes = suffixes as string[];
    this.#values = new Float64Array(Math.max(MIN_VALUES, labels.length));
  }

  /** Without suffixes: all samples of a family have one, or none has. */
  push(labels: string, value: number): void {
    const at = this.#length;
    if (this.#isBorrowed && this.#labels[at] !== labels) this.#own();
    if (!this.#isBorrowed) this.#labels.push(labels);
    this.#add(value);
  }

  pushWithSuffix(suffix: string, labels: string, value: number): void {
    const at = this.#length;
    if (this.#isBorrowed && (this.#labels[at] !== labels || this.#suffixes[at] !== suffix)) this.#own();
    if (!this.#isBorrowed) {
      this.#labels.push(labels);
      this.#suffixes.push(suffix);
    }
    this.#add(value);
  }

  /** The samples so far. They change if more are added. */
  get lists(): LabelList & { readonly values: Float64Array } {
    if (this.#isBorrowed && this.#labels.length !== this.#length) this.#own();
    const values = this.#values.subarray(0, this.#length);
    return { labels: this.#labels, suffixes: this.#suffixes, values };
  }

  /** An independent copy. */
  copy(): Samples {
    const copy = new Samples();
    copy.#labels = this.#labels.slice(0, this.#length);
    copy.#suffixes = this.#suffixes.slice(0, this.#length);
    copy.#isBorrowed = false;
    copy.#values = this.#values.slice();
    copy.#length = this.#length;
    return copy;
  }

  /** Keeps the wanted samples. An entity with several samples, such as a histogram, is kept or removed as a whole. */
  keep(isWanted: (labels: string, size: number) => boolean): void {
    const { labels, suffixes, values } = this.copy().lists;
    this.#labels = [];
    this.#suffixes = [];
    this.#isBorrowed = false;
    this.#length = 0;
    for (let from = 0; from < values.length; ) {
      // `_count` is the last sample of an entity.
      const size = suffixes.length > 0 ? suffixes.indexOf('_count', from) - from + 1 : 1;
      const wanted = isWanted(labels[from] ?? '', size);
      for (const end = from + size; from < end; from++) {
        if (!wanted) continue;
        this.#labels.push(labels[from] ?? '');
        if (suffixes.length > 0) this.#suffixes.push(suffixes[from] ?? '');
        this.#add(values[from] ?? Number.NaN);
      }
    }
  }

  #own(): void {
    this.#labels = this.#labels.slice(0, this.#length);
    this.#suffixes = this.#suffixes.slice(0, this.#length);
    this.#isBorrowed = false;
  }

  #add(value: number): void {
    this.#values = withRoom(this.#values, this.#length);
    this.#values[this.#length++] = value;
  }
}
