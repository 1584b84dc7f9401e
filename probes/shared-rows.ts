/** The names of a row's numbers, in order. Rows with the same names share them. */
export interface RowNames {
  readonly all: readonly string[];
  readonly positions: ReadonlyMap<string, number>;
}

/**
 * Numbers by name, as a view of an array that many rows share. A Map for each of 16,000 vCPUs kept the garbage
 * collector busy for more than 100 ms.
 */
export class SharedRow implements ReadonlyMap<string, number> {
  /** @param size the row has the first `size` of the names; their numbers begin at `start` */
  constructor(
    private readonly names: RowNames,
    private readonly numbers: Float64Array,
    private readonly start: number,
    readonly size: number,
  ) {}

  get(name: string): number | undefined {
    const position = this.names.positions.get(name);
    return position === undefined || position >= this.size ? undefined : this.numbers[this.start + position];
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  forEach(callback: (value: number, name: string, map: ReadonlyMap<string, number>) => void): void {
    for (const [name, value] of this) callback(value, name, this);
  }

  *[Symbol.iterator](): Generator<[string, number], undefined> {
    for (let i = 0; i < this.size; i++)
      yield [this.names.all[i] ?? '', this.numbers[this.start + i] ?? Number.NaN];
  }

  entries(): Generator<[string, number], undefined> {
    return this[Symbol.iterator]();
  }

  *keys(): Generator<string, undefined> {
    yield* this.names.all.slice(0, this.size);
  }

  *values(): Generator<number, undefined> {
    yield* this.numbers.subarray(this.start, this.start + this.size);
  }
}
