import { getOrInsert } from '../../kernel/maps.ts';

/** KVM has about a hundred. A VMM that was taken over may report other names each time. */
const MAX_STATISTICS = 512;

/** Gives each statistic a column for good: one that disappears and returns has the same. */
export class VcpuColumns {
  readonly #known = new Map<string, number>();
  /** The names of the last table, and the column of each. */
  #names: readonly string[] = [];
  #columns: readonly number[] = [];

  /** Number of columns so far. */
  get size(): number {
    return this.#known.size;
  }

  /** -1 for a statistic that is one too many. */
  of(names: readonly string[]): readonly number[] {
    if (names !== this.#names) {
      this.#names = names;
      this.#columns = names.map((name) =>
        this.#known.size >= MAX_STATISTICS && !this.#known.has(name)
          ? -1
          : getOrInsert(this.#known, name, () => this.#known.size),
      );
    }
    return this.#columns;
  }
}
