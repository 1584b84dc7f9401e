import { getOrInsert } from '../../kernel/maps.ts';
import { isStale } from './stale-reading.ts';
import type { VcpuTable } from './vcpu-table.ts';

/** KVM has about a hundred. A VMM that was taken over may report other names each time. */
const MAX_STATISTICS = 512;
const MAX_VCPUS = 4096;

/** Sums of one source over a VM's vCPUs. They never fall: a reading continues as one of a ContinuedCounter with the vCPUs as its parts. */
export class VcpuSums {
  /** The names of the last table, and the own column of each. */
  #names: readonly string[] = [];
  #columns: readonly number[] = [];
  /** All columns ever seen, by name: one that disappears and returns continues. */
  readonly #known = new Map<string, number>();
  readonly #sums: number[] = [];
  /** Last readings by own column, for each vCPU. */
  readonly #last = new Map<number, number[]>();

  /** @returns the sums by column of the table; NaN for a statistic that is one too many */
  add({ names, indexes, values }: VcpuTable): readonly number[] {
    if (names !== this.#names) {
      this.#names = names;
      this.#columns = names.map((name) => this.#columnOf(name));
    }
    let at = 0;
    for (const index of indexes) {
      const last = this.#lastOf(index);
      if (last === undefined) {
        at += names.length;
        continue;
      }
      while (last.length < this.#sums.length) last.push(0);
      for (const column of this.#columns) {
        const reading = values[at++] ?? Number.NaN;
        const before = last[column] ?? 0;
        if (column < 0 || Number.isNaN(reading) || isStale(before, reading)) continue;
        last[column] = reading;
        this.#sums[column] = (this.#sums[column] ?? 0) + Math.max(0, reading - before);
      }
    }
    return this.#columns.map((column) => this.#sums[column] ?? Number.NaN);
  }

  /** -1 if there are too many. */
  #columnOf(name: string): number {
    if (this.#known.size >= MAX_STATISTICS && !this.#known.has(name)) return -1;
    return getOrInsert(this.#known, name, () => this.#sums.push(0) - 1);
  }

  /** undefined if there are too many. */
  #lastOf(index: number): number[] | undefined {
    if (this.#last.size >= MAX_VCPUS && !this.#last.has(index)) return undefined;
    return getOrInsert(this.#last, index, (): number[] => []);
  }
}
