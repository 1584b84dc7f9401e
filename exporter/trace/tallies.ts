import { getOrInsert } from '../../kernel/maps.ts';
import { TRACE_SETS, type TraceSetName } from './sets.ts';
import { Tally } from './tally.ts';
import type { TallyName } from './trigger.ts';

/** The tallies of all triggers that have been read. They outlive the backend that fills them. */
export class Tallies {
  readonly #byName = new Map<TallyName, Tally>();
  #maps = 0;

  /** undefined if its trigger has not been read yet. */
  get(name: TallyName): Tally | undefined {
    return this.#byName.get(name);
  }

  /** Creates the tally when its trigger is first read. */
  open(name: TallyName): Tally {
    return getOrInsert(this.#byName, name, () => new Tally());
  }

  /** Call when all maps are new: they count from zero again. @returns a number of these maps */
  restart(): number {
    for (const tally of this.#byName.values()) tally.restart();
    return ++this.#maps;
  }

  /** Whether these maps are still the ones that count: those of another backend would count twice. */
  areCurrent(maps: number): boolean {
    return maps === this.#maps;
  }

  /** Forgets VMs that are gone. */
  keepVms(vms: ReadonlySet<string>): void {
    for (const tally of this.#byName.values()) tally.keep(vms);
  }

  /** Forgets the counts of disabled sets: a counter that no longer counts would be misleading. */
  keepSets(sets: readonly TraceSetName[]): void {
    const kept = new Set(sets.flatMap((set) => TRACE_SETS[set].triggers.flatMap(({ tally }) => tally ?? [])));
    for (const name of this.#byName.keys()) if (!kept.has(name)) this.#byName.delete(name);
  }
}
