import type { FleetComparison, HostTime } from './model.ts';

/** Times before and after a change, and the share of the changed hosts that have them. */
interface Split {
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly weight: number;
}

/** Hosts that change one after the other have many splits. */
const MAX_SPLITS = 50;
const MAX_CONTROLS = 200;

/** The times of the hosts that changed, each once. */
export function splitsOf(pairs: readonly (readonly [HostTime, HostTime])[]): Split[] {
  const found = new Map<string, { before: readonly number[]; after: readonly number[]; count: number }>();
  for (const [{ windows: before }, { windows: after }] of pairs) {
    const key = [before[0], before.length, before.at(-1), after[0], after.length, after.at(-1)].join();
    const known = found.get(key);
    if (known === undefined) found.set(key, { before, after, count: 1 });
    else known.count++;
  }
  const kept = spread([...found.values()], MAX_SPLITS);
  const all = kept.reduce((sum, { count }) => sum + count, 0);
  return kept.map(({ before, after, count }) => ({ before, after, weight: count / all }));
}

/** Share of the time in which a host must have been seen. */
const MOST_OF_THE_TIME = 0.8;

/** Hosts that stayed in one group over the whole time. */
export function stayersOf({ hosts, windows: { count } }: FleetComparison): HostTime[] {
  const stayers = hosts.flatMap(({ groups }) => (groups.size === 1 ? [...groups.values()] : []));
  return spread(
    stayers.filter(({ windows }) => windows.length >= MOST_OF_THE_TIME * count),
    MAX_CONTROLS,
  );
}

/**
 * How much the stayers changed between the times of those that changed: one number for each stayer, the mean over the
 * splits. A stayer that lacks one of the values is left out.
 */
export function changesOfStayers(
  stayers: readonly HostTime[],
  splits: readonly Split[],
  change: (stayer: HostTime, before: readonly number[], after: readonly number[]) => number | undefined,
): number[] {
  return stayers.flatMap((stayer) => {
    let sum = 0;
    for (const { before, after, weight } of splits) {
      const one = change(stayer, before, after);
      if (one === undefined) return [];
      sum += weight * one;
    }
    return [sum];
  });
}

/** At most so many, evenly spread. */
function spread<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  return Array.from({ length: most }, (_, i) => all[Math.floor((i * all.length) / most)] as T);
}
