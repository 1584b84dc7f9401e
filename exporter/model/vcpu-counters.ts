import { getOrInsert } from '../../kernel/maps.ts';
import { isStale } from './stale-reading.ts';
import { VcpuColumns } from './vcpu-columns.ts';
import type { VcpuTable } from './vcpu-table.ts';

const MAX_VCPUS = 4096;

/** What one source reported of a vCPU, by own column. */
interface Readings {
  readonly last: number[];
  /** Sums of the growth. */
  readonly sums: number[];
  /** What is added to the sum. */
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

/** The counters of a VM's vCPUs: each by the rules of a ContinuedCounter, but in arrays, since a host has tens of thousands of them. */
export class VcpuCounters {
  readonly #columns = new VcpuColumns();
  readonly #vcpus = new Map<number, Vcpu>();

  /** @returns the counters in the shape of the table; NaN where it has no reading, and for what is one too many */
  take(source: string, { names, indexes, values }: VcpuTable): Float64Array {
    const columns = this.#columns.of(names);
    const shown = new Float64Array(values.length).fill(Number.NaN);
    indexes.forEach((index, row) => {
      const vcpu = this.#vcpuOf(index);
      if (vcpu === undefined) return;
      const readings = getOrInsert(vcpu.sources, source, newReadings);
      this.#grow(vcpu, readings);
      columns.forEach((column, i) => {
        const at = row * names.length + i;
        const reading = values[at] ?? Number.NaN;
        if (column >= 0 && !Number.isNaN(reading)) shown[at] = follow(vcpu, readings, column, reading);
      });
    });
    return shown;
  }

  /** undefined if there are too many. */
  #vcpuOf(index: number): Vcpu | undefined {
    if (this.#vcpus.size >= MAX_VCPUS && !this.#vcpus.has(index)) return undefined;
    return getOrInsert(this.#vcpus, index, newVcpu);
  }

  /** Without holes, so that V8 keeps plain numbers. */
  #grow({ values, current }: Vcpu, { last, sums, offsets, isKnown }: Readings): void {
    const { size } = this.#columns;
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

/** As ContinuedCounter.one(). */
function follow({ values, current }: Vcpu, readings: Readings, column: number, reading: number): number {
  const { last, sums, offsets, isKnown } = readings;
  const before = last[column] ?? 0;
  if (reading >= before) sums[column] = (sums[column] ?? 0) + reading - before;
  if (!isStale(before, reading)) last[column] = reading;
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
