import { getOrInsert } from '../../kernel/maps.ts';
import { isStale } from './stale-reading.ts';
import { VcpuColumns } from './vcpu-columns.ts';
import type { VcpuTable } from './vcpu-table.ts';

const MAX_VCPUS = 4096;

/** Sums of one source over a VM's vCPUs. They never fall: a reading continues as one of a ContinuedCounter with the vCPUs as its parts. */
export class VcpuSums {
  readonly #columns = new VcpuColumns();
  readonly #sums: number[] = [];
  /** Last readings by own column, for each vCPU. */
  readonly #last = new Map<number, number[]>();

  /** @returns the sums by column of the table; NaN for a statistic that is one too many */
  add({ names, indexes, values }: VcpuTable): readonly number[] {
    const columns = this.#columns.of(names);
    while (this.#sums.length < this.#columns.size) this.#sums.push(0);
    let at = 0;
    for (const index of indexes) {
      const last = this.#lastOf(index);
      if (last === undefined) {
        at += names.length;
        continue;
      }
      while (last.length < this.#sums.length) last.push(0);
      for (const column of columns) {
        const reading = values[at++] ?? Number.NaN;
        const before = last[column] ?? 0;
        if (column < 0 || Number.isNaN(reading) || isStale(before, reading)) continue;
        last[column] = reading;
        this.#sums[column] = (this.#sums[column] ?? 0) + Math.max(0, reading - before);
      }
    }
    return columns.map((column) => this.#sums[column] ?? Number.NaN);
  }

  /** undefined if there are too many. */
  #lastOf(index: number): number[] | undefined {
    if (this.#last.size >= MAX_VCPUS && !this.#last.has(index)) return undefined;
    return getOrInsert(this.#last, index, (): number[] => []);
  }
}
