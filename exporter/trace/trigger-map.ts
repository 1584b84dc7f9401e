import { addTo } from '../../kernel/maps.ts';
import type { HistBlock } from '../../probes/tracefs-hist.ts';
import type { Tallies } from './tallies.ts';
import type { OwnerOf, Tally, TallyRows } from './tally.ts';
import type { TallyName } from './trigger.ts';

/** A map that is fuller than this is cleared, or enlarged if VM threads fill more than half of this share. */
const FULL = 3 / 4;
const MAX_SIZE = 131_072;

/** The kernel's map of one trigger: its size, how full it is, and the tally of its counts. */
export class TriggerMap {
  #size: number;
  #entries = 0;
  #hits: ReadonlyMap<number, number> = new Map();
  #remedy: 'clear' | 'enlarge' | undefined;

  /** @param tallyName undefined for a trigger that only feeds another */
  constructor(
    size: number,
    private readonly tallyName: TallyName | undefined,
    private readonly tallies: Tallies,
  ) {
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  /** Entries at the last reading. */
  get entries(): number {
    return this.#entries;
  }

  /** The remedy for a full map. */
  get remedy(): 'clear' | 'enlarge' | undefined {
    return this.#remedy;
  }

  /** Events that were dropped because the map was full, or a map that feeds it. */
  get dropped(): number {
    return this.#tally?.dropped ?? 0;
  }

  /** Events by thread at the last reading. */
  get hits(): ReadonlyMap<number, number> {
    return this.#hits;
  }

  /**
   * Adds the current content of the map to the tally.
   *
   * @param now seconds since boot
   * @param weight of each event since the last reading
   */
  take(block: HistBlock, ownerOf: OwnerOf, now: number, weight: number): void {
    if (this.tallyName === undefined) return;
    const rows = { ...block, keys: block.keys.length, values: block.values.length };
    const owned = this.tallies.open(this.tallyName).update(rows, ownerOf, now, weight);
    this.#hits = hitsByThread(rows);
    this.#entries = block.entries;
    const limit = this.#size * FULL;
    if (block.entries <= limit && block.dropped === 0) return;
    this.#remedy = owned > limit / 2 && this.#size < MAX_SIZE ? 'enlarge' : 'clear';
  }

  /** Call when the map was cleared: it counts from zero again. */
  restart(): void {
    this.#remedy = undefined;
    this.#hits = new Map();
    this.#tally?.restart();
  }

  /** Call before the trigger is created again: the new map is empty, and twice as large if it has to be. */
  replace(): void {
    if (this.#remedy === 'enlarge') this.#size = Math.min(MAX_SIZE, this.#size * 2);
    this.restart();
  }

  get #tally(): Tally | undefined {
    return this.tallyName === undefined ? undefined : this.tallies.get(this.tallyName);
  }
}

function hitsByThread({ rows, columns, keys, values }: TallyRows): Map<number, number> {
  const hits = new Map<number, number>();
  for (let row = 0, at = 0; row < rows; row++, at += keys + values)
    addTo(hits, columns[at] ?? 0, columns[at + keys] ?? 0);
  return hits;
}
