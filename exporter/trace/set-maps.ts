import { addTo } from '../../kernel/maps.ts';
import type { HistBlock } from '../../probes/tracefs-hist.ts';
import type { Isa } from '../model/io-path.ts';
import type { Tallies } from './tallies.ts';
import type { OwnerOf } from './tally.ts';
import type { Trigger } from './trigger.ts';
import { TriggerMap } from './trigger-map.ts';
import { blockOf } from './trigger-text.ts';

export interface MapDependencies {
  readonly isa: Isa;
  readonly tallies: Tallies;
  readonly ownerOf: OwnerOf;
  /** Seconds since boot. */
  sinceBoot(): number;
}

/** The maps of a set's triggers. Blocks are those of the trigger's event. */
export class SetMaps {
  readonly #byTrigger: ReadonlyMap<Trigger, TriggerMap>;

  constructor(
    private readonly triggers: readonly Trigger[],
    private readonly dependencies: MapDependencies,
  ) {
    const { tallies } = dependencies;
    this.#byTrigger = new Map(
      triggers.map((trigger) => [trigger, new TriggerMap(trigger.size, trigger.tally, tallies)]),
    );
  }

  sizeOf(trigger: Trigger): number {
    return this.#byTrigger.get(trigger)?.size ?? trigger.size;
  }

  /** The remedy for a full map. The kernel does not clear a map with variables. */
  remedyOf(trigger: Trigger): 'clear' | 'replace' | undefined {
    const remedy = this.#byTrigger.get(trigger)?.remedy;
    if (remedy === undefined) return undefined;
    return remedy === 'clear' && trigger.variables === undefined ? 'clear' : 'replace';
  }

  /** Entries of the fullest map at the last reading. */
  get entries(): number {
    return Math.max(0, ...[...this.#byTrigger.values()].map(({ entries }) => entries));
  }

  get dropped(): number {
    return [...this.#byTrigger.values()].reduce((sum, { dropped }) => sum + dropped, 0);
  }

  /** Events of all triggers by thread, at the last reading. */
  get hits(): Map<number, number> {
    const all = new Map<number, number>();
    for (const { hits } of this.#byTrigger.values()) for (const [tid, count] of hits) addTo(all, tid, count);
    return all;
  }

  /**
   * Adds the map's counts to its tally.
   *
   * @param weight of each event since the last reading
   * @returns false if the map is missing
   */
  take(trigger: Trigger, blocks: readonly HistBlock[], weight: number): boolean {
    const { isa, ownerOf, sinceBoot } = this.dependencies;
    const block = blockOf(blocks, trigger, isa);
    if (block !== undefined) this.#byTrigger.get(trigger)?.take(block, ownerOf, sinceBoot(), weight);
    return block !== undefined;
  }

  /** Adds the drops of a map that only feeds others to the set's first tally. */
  takeDrops(trigger: Trigger, blocks: readonly HistBlock[]): void {
    const { isa, tallies } = this.dependencies;
    const first = this.triggers.find(({ tally }) => tally !== undefined)?.tally;
    const dropped = blockOf(blocks, trigger, isa)?.dropped ?? 0;
    if (first !== undefined) tallies.open(first).addDropped(dropped);
  }

  /** Call when the map was cleared. */
  restart(trigger: Trigger): void {
    this.#byTrigger.get(trigger)?.restart();
  }

  /** Call when all triggers are about to be created again. */
  replaceAll(): void {
    for (const map of this.#byTrigger.values()) map.replace();
  }
}
