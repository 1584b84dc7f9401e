/** The counts of one combination of keys. */
export interface Count {
  hits: number;
  /** Sum of the trigger's value besides hitcount; 0 if it has none. */
  sum: number;
}

/** What a kernel's map has. */
export interface TallyRows {
  readonly rows: number;
  /** Row by row: the keys, of which the first is the thread id, then the values: hits, and a sum if there is one. */
  readonly columns: Float64Array;
  /** How many keys and values a row has. */
  readonly keys: number;
  readonly values: number;
  /** Events so far that found the map full. */
  readonly dropped: number;
}

/** The keys of a row after the thread id, in order. */
export type SubKey = readonly number[];

export interface Tallied {
  readonly thread: string;
  readonly rest: SubKey;
  readonly count: Count;
}

/** The owner of a thread id: one incarnation of a thread of one incarnation of a VM. */
export interface Owner {
  readonly vm: string;
  readonly thread: string;
  /** Seconds since boot. */
  readonly startTime: number;
}

/** Returns undefined for a thread of an unknown VM. */
export type OwnerOf = (tid: number) => Owner | undefined;

interface Cell {
  hits: number;
  sum: number;
  /** The count that is already credited, or that belongs to another thread. */
  fromHits: number;
  fromSum: number;
  /** Time of the last reading, in seconds since boot. */
  at: number;
  owner: Owner | undefined;
  target: Count | undefined;
}

/**
 * Counts of one kind of event over the life of the daemon. The kernel's map is keyed by thread id and restarts
 * from zero when it is cleared. The tally keeps the counts by VM and thread, and they never fall.
 */
export class Tally {
  readonly #cells = new Map<number, Map<string, Cell>>();
  readonly #vms = new Map<string, Map<string, Tallied>>();
  #dropped = 0;
  #lastDropped = 0;

  /** Events that were dropped because the map was full, over all maps so far. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Adds the current content of the map.
   *
   * @param ownerOf events of a thread without an owner are counted when its VM is known
   * @param now seconds since boot
   * @param weight of each event since the last reading
   * @returns number of rows that belong to VMs
   */
  update(block: TallyRows, ownerOf: OwnerOf, now: number, weight = 1): number {
    const { rows, columns, keys, values } = block;
    const width = keys + values;
    let owned = 0;
    for (let row = 0, at = 0; row < rows; row++, at += width) {
      const tid = columns[at] ?? 0;
      const hits = columns[at + keys] ?? 0;
      const sum = values > 1 ? (columns[at + keys + 1] ?? 0) : 0;
      const owner = ownerOf(tid);
      if (owner !== undefined) owned++;
      this.#take(tid, columns.subarray(at + 1, at + keys), hits, sum, owner, now, weight);
    }
    if (block.dropped < this.#lastDropped) this.#lastDropped = 0;
    this.#dropped += block.dropped - this.#lastDropped;
    this.#lastDropped = block.dropped;
    return owned;
  }

  /** Adds events that were dropped because a map that feeds this one was full. */
  addDropped(count: number): void {
    this.#dropped += count;
  }

  /** Call when the map was cleared or replaced: it counts from zero again. */
  restart(): void {
    this.#cells.clear();
    this.#lastDropped = 0;
  }

  of(vm: string): Iterable<Tallied> {
    return this.#vms.get(vm)?.values() ?? [];
  }

  /** Forgets VMs that are gone. */
  keep(vms: ReadonlySet<string>): void {
    for (const vm of this.#vms.keys()) if (!vms.has(vm)) this.#vms.delete(vm);
  }

  #take(
    tid: number,
    rest: Float64Array,
    hits: number,
    sum: number,
    owner: Owner | undefined,
    now: number,
    weight: number,
  ): void {
    const key = rest.join();
    let cells = this.#cells.get(tid);
    if (cells === undefined) {
      cells = new Map();
      this.#cells.set(tid, cells);
    }
    let cell = cells.get(key);
    if (cell === undefined) {
      cell = { hits: 0, sum: 0, fromHits: 0, fromSum: 0, at: now, owner: undefined, target: undefined };
      cells.set(key, cell);
    }
    // The map was cleared.
    if (hits < cell.hits) cell.fromHits = cell.fromSum = cell.hits = cell.sum = 0;
    if (owner !== undefined) {
      if (cell.owner !== owner) {
        // Counts from before the thread's start belong to an earlier thread with the same id.
        if (owner.startTime > cell.at) {
          cell.fromHits = cell.hits;
          cell.fromSum = cell.sum;
        }
        cell.owner = owner;
        cell.target = this.#target(owner, key, rest);
      }
      if (cell.target !== undefined) {
        cell.target.hits += (hits - cell.fromHits) * weight;
        cell.target.sum += Math.max(0, sum - cell.fromSum) * weight;
      }
      cell.fromHits = hits;
      cell.fromSum = sum;
    } else if (cell.owner !== undefined) {
      // The VM is gone: further events belong to the next thread with this id.
      cell.owner = undefined;
      cell.target = undefined;
      cell.fromHits = hits;
      cell.fromSum = sum;
    }
    cell.hits = hits;
    cell.sum = sum;
    cell.at = now;
  }

  #target({ vm, thread }: Owner, key: string, rest: Float64Array): Count {
    let tallied = this.#vms.get(vm);
    if (tallied === undefined) {
      tallied = new Map();
      this.#vms.set(vm, tallied);
    }
    const name = `${key} ${thread}`;
    let found = tallied.get(name);
    if (found === undefined) {
      found = { thread, rest: [...rest], count: { hits: 0, sum: 0 } };
      tallied.set(name, found);
    }
    return found.count;
  }
}
