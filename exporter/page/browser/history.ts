import type { Rate } from './rates.ts';

/** Data of a chart: one list of times in seconds, and a list of values per line; null is a gap. */
export interface Drawn {
  readonly times: number[];
  readonly values: (number | null)[][];
}

/** The series of one VM. The values of one tick are adjacent, so that a tick touches little memory. */
interface Owner {
  /** Tick of the last update. */
  seen: number;
  readonly columns: Map<string, { readonly index: number; readonly since: number }>;
  /** Number of series that fit. */
  room: number;
  values: Float32Array;
}

const FIRST_ROOM = 16;

/** The last values of many series that share their times, in buffers that are allocated once. */
export class History {
  readonly #times: Float64Array;
  readonly #owners = new Map<string, Owner>();
  /** Ticks so far. The slot of a tick is its number modulo the capacity. */
  #ticks = 0;

  constructor(
    private readonly keepMs: number,
    private readonly capacity = 720,
    private readonly room = FIRST_ROOM,
  ) {
    this.#times = new Float64Array(capacity);
  }

  /** Time of the last tick; 0 before the first tick. */
  get last(): number {
    return this.#ticks === 0 ? 0 : (this.#times[(this.#ticks - 1) % this.capacity] ?? 0);
  }

  /** Number of owners. */
  get size(): number {
    return this.#owners.size;
  }

  has(owner: string): boolean {
    return this.#owners.has(owner);
  }

  /**
   * Starts a new tick. Does nothing if there already is a tick at this time or later.
   *
   * @param gapMs time without a tick after which lines are interrupted
   */
  tick(at: number, gapMs: number): void {
    if (this.#ticks > 0 && at <= this.last) return;
    if (this.#ticks > 0 && at - this.last > gapMs) this.#begin(this.last + 1);
    this.#begin(at);
  }

  /** Sets the value at the last tick. */
  set(name: string, series: string, value: Rate): void {
    const owner = this.#owners.get(name) ?? this.#make();
    this.#owners.set(name, owner);
    owner.seen = this.#ticks;
    let column = owner.columns.get(series);
    if (column === undefined) {
      if (value === undefined) return;
      column = { index: owner.columns.size, since: this.#ticks - 1 };
      owner.columns.set(series, column);
      if (column.index >= owner.room) this.#widen(owner);
    }
    owner.values[((this.#ticks - 1) % this.capacity) * owner.room + column.index] = value ?? Number.NaN;
  }

  /** Frees the memory of an owner. */
  forget(name: string): void {
    this.#owners.delete(name);
  }

  /** Names of an owner's series. */
  names(owner: string): string[] {
    return [...(this.#owners.get(owner)?.columns.keys() ?? [])];
  }

  read(name: string, series: readonly string[]): Drawn {
    const owner = this.#owners.get(name);
    const columns = series.map((each) => owner?.columns.get(each));
    const drawn: Drawn = { times: [], values: series.map(() => []) };
    const since = this.last - this.keepMs;
    for (let tick = Math.max(0, this.#ticks - this.capacity); tick < this.#ticks; tick++) {
      const slot = tick % this.capacity;
      const time = this.#times[slot] ?? 0;
      if (time < since) continue;
      drawn.times.push(time / 1000);
      for (const [i, column] of columns.entries()) {
        const isThere = owner !== undefined && column !== undefined && tick >= column.since;
        const value = isThere ? (owner.values[slot * owner.room + column.index] ?? Number.NaN) : Number.NaN;
        drawn.values[i]?.push(Number.isNaN(value) ? null : value);
      }
    }
    return drawn;
  }

  #begin(at: number): void {
    const slot = this.#ticks % this.capacity;
    this.#times[slot] = at;
    this.#ticks++;
    for (const [name, { seen, room, values }] of this.#owners) {
      if (this.#ticks - seen > this.capacity) this.#owners.delete(name);
      values.fill(Number.NaN, slot * room, (slot + 1) * room);
    }
  }

  #make(): Owner {
    const values = new Float32Array(this.room * this.capacity);
    return { seen: this.#ticks, columns: new Map(), room: this.room, values };
  }

  #widen(owner: Owner): void {
    const room = owner.room * 2;
    const values = new Float32Array(room * this.capacity);
    for (let slot = 0; slot < this.capacity; slot++) {
      values.set(owner.values.subarray(slot * owner.room, (slot + 1) * owner.room), slot * room);
    }
    Object.assign(owner, { room, values });
  }
}
