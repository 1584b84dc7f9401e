import { getOrInsert } from '../../../kernel/maps.ts';
import type { VmAffinity } from '../../model/affinity-reading.ts';
import type { Drift, DriftKind } from '../../model/drift.ts';

export interface DriftChange {
  /** Key of the VM. */
  readonly key: string;
  readonly drift: Drift;
  readonly began: boolean;
}

/** These kinds depend on the CPU that the scheduler chooses within the mask. */
const WANDERING: ReadonlySet<DriftKind> = new Set(['cross_node', 'migrating']);
/** A thread that alternates between nodes has one drift, not one for each move. */
const AWAY_SECONDS = 60;

interface Begun {
  readonly drift: Drift;
  /** Time of the last check that found the drift. */
  readonly at: number;
}

/** The drifts that began and those that ended, by VM. */
export class DriftChanges {
  #begun: ReadonlyMap<string, ReadonlyMap<string, Begun>> = new Map();

  /** @param at seconds since boot */
  take(now: ReadonlyMap<string, Pick<VmAffinity, 'drifts'>>, at: number): DriftChange[] {
    const before = this.#begun;
    const begun = new Map<string, Map<string, Begun>>();
    const changes: DriftChange[] = [];
    const keep = (key: string, each: Begun): void => {
      getOrInsert(begun, key, () => new Map<string, Begun>()).set(nameOf(each.drift), each);
    };
    const gone = [...before.keys()].filter((key) => !now.has(key));
    for (const key of [...now.keys(), ...gone]) {
      const drifts = now.get(key)?.drifts ?? [];
      const old = before.get(key);
      for (const drift of drifts) {
        if (old?.has(nameOf(drift)) !== true) changes.push({ key, drift, began: true });
        keep(key, { drift, at });
      }
      for (const [name, each] of old ?? []) {
        if (begun.get(key)?.has(name) === true) continue;
        const mayReturn = now.has(key) && WANDERING.has(each.drift.kind) && at - each.at < AWAY_SECONDS;
        if (mayReturn) keep(key, each);
        else changes.push({ key, drift: each.drift, began: false });
      }
    }
    this.#begun = begun;
    return changes;
  }
}

function nameOf({ thread, kind }: Drift): string {
  return `${thread} ${kind}`;
}
