import { getOrInsert } from '../../kernel/maps.ts';
import { isStale } from './stale-reading.ts';
import type { VcpuTable } from './vcpu-table.ts';

/** KVM has about a hundred. A hostile VMM may report other names each time. */
const MAX_STATISTICS = 512;
const MAX_VCPUS = 4096;

/** The readings of a vCPU from one source, by own column. */
interface Readings {
  readonly last: number[];
  /** Sums of the growth. */
  readonly sums: number[];
  /** Offset that is added to the sum. */
  readonly offsets: number[];
  /** Whether the counter ever followed this source. */
  readonly isKnown: boolean[];
}

/** Counters of one vCPU, by own column. */
interface Vcpu {
  readonly values: number[];
  /** The source that each counter follows. */
  readonly current: (Readings | undefined)[];
  readonly sources: Map<string, Readings>;
}

export interface VcpuCounts {
  /** The counters in the shape of the table; NaN without a reading, and for statistics above the limit. */
  readonly values: Float64Array;
  /**
   * Sums over all vCPUs ever seen, as readings of the source, by column of the table: each as one of a
   * ContinuedCounter with the vCPUs as its parts. NaN for a statistic above the limit.
   */
  readonly sums: readonly number[];
}

/** The counters of a VM's vCPUs: each by the rules of a ContinuedCounter, but in arrays, since a host has tens of thousands of them. */
export class VcpuCounters {
  /** All columns ever seen, by name: a column that disappears and returns continues. */
  readonly #known = new Map<string, number>();
  /** The names of the last table, and the own column of each. */
  #names: readonly string[] = [];
  #columns: readonly number[] = [];
  readonly #vcpus = new Map<number, Vcpu>();
  /** By source, then by own column. */
  readonly #sums = new Map<string, number[]>();

  take(source: string, { names, indexes, values }: VcpuTable): VcpuCounts {
    if (names !== this.#names) {
      this.#names = names;
      this.#columns = names.map((name) => this.#columnOf(name));
    }
    const columns = this.#columns;
    const sums = getOrInsert(this.#sums, source, (): number[] => []);
    while (sums.length < this.#known.size) sums.push(0);
    const shown = new Float64Array(values.length).fill(Number.NaN);
    indexes.forEach((index, row) => {
      const vcpu = this.#vcpuOf(index);
      if (vcpu === undefined) return;
      const readings = getOrInsert(vcpu.sources, source, newReadings);
      this.#grow(vcpu, readings);
      columns.forEach((column, i) => {
        const at = row * names.length + i;
        const reading = values[at] ?? Number.NaN;
        if (column < 0 || Number.isNaN(reading)) return;
        sums[column] = (sums[column] ?? 0) + growth(readings, column, reading);
        shown[at] = follow(vcpu, readings, column);
      });
    });
    return { values: shown, sums: columns.map((column) => sums[column] ?? Number.NaN) };
  }

  /** -1 if there are too many. */
  #columnOf(name: string): number {
    if (this.#known.size >= MAX_STATISTICS && !this.#known.has(name)) return -1;
    return getOrInsert(this.#known, name, () => this.#known.size);
  }

  /** undefined if there are too many. */
  #vcpuOf(index: number): Vcpu | undefined {
    if (this.#vcpus.size >= MAX_VCPUS && !this.#vcpus.has(index)) return undefined;
    return getOrInsert(this.#vcpus, index, newVcpu);
  }

  /** An array without holes, so that V8 stores plain numbers. */
  #grow({ values, current }: Vcpu, { last, sums, offsets, isKnown }: Readings): void {
    const { size } = this.#known;
    while (values.length < size) {
      values.push(0);
      current.push(undefined);
    }
    while (last.length < size) {
      last.push(0);
      sums.push(0);
      offsets.push(0);
      isKnown.push(false);
    }
  }
}

/** Takes a reading. @returns its growth */
function growth({ last, sums }: Readings, column: number, reading: number): number {
  const before = last[column] ?? 0;
  if (isStale(before, reading)) return 0;
  last[column] = reading;
  const grown = Math.max(0, reading - before);
  sums[column] = (sums[column] ?? 0) + grown;
  return grown;
}

/** The counter's value after a reading, as that of ContinuedCounter.one(). */
function follow({ values, current }: Vcpu, readings: Readings, column: number): number {
  const { sums, offsets, isKnown } = readings;
  const sum = sums[column] ?? 0;
  const value = values[column] ?? 0;
  const isOther = current[column] !== readings;
  if (isOther && !isKnown[column] && current[column] !== undefined) offsets[column] = value - sum;
  const now = Math.max(value, sum + (offsets[column] ?? 0));
  values[column] = now;
  if (isOther) {
    offsets[column] = now - sum;
    current[column] = readings;
    isKnown[column] = true;
  }
  return now;
}

function newReadings(): Readings {
  return { last: [], sums: [], offsets: [], isKnown: [] };
}

function newVcpu(): Vcpu {
  return { values: [], current: [], sources: new Map() };
}
