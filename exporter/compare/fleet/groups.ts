import { ConfigError } from '../../config/load.ts';
import type { Series } from '../../prometheus/series.ts';
import { type Grouping, JOINED_LABELS } from './grouping.ts';
import type { FleetComparison, FleetHost, HostTime, Windows } from './model.ts';
import type { TermName } from './queries.ts';
import { windowsByGroup } from './times.ts';

type Labels = Series['labels'];

const MAX_GROUPS = 12;

export function hostGroups(
  seen: readonly (readonly string[])[],
  numbers: ReadonlyMap<TermName, Float64Array>,
  { seconds }: Windows,
  warmUp: number,
): Map<string, HostTime> {
  return new Map(
    [...windowsByGroup(seen, seconds, warmUp)].map(([group, list]) => [group, { windows: list, numbers }]),
  );
}

/** A host has VMs of a group in each window with a value of them. */
export function vmGroups(
  byGroup: ReadonlyMap<string, ReadonlyMap<TermName, Float64Array>>,
  windows: Windows,
  warmUp: number,
): Map<string, HostTime> {
  return new Map(
    [...byGroup].flatMap(([group, numbers]) => {
      if (group === '') return [];
      const has = (i: number): boolean => [...numbers.values()].some((list) => !Number.isNaN(list[i]));
      const seen = emptyWindows(windows).map((_, i) => [has(i) ? group : ' ']);
      const list = windowsByGroup(seen, windows.seconds, warmUp).get(group);
      return list === undefined ? [] : [[group, { windows: list, numbers }] as const];
    }),
  );
}

/**
 * The groups in the order of their first window, then of their names. If there are many, those with the most hosts.
 */
export function chosenGroups(
  hosts: readonly FleetHost[],
  { name, metric }: Grouping,
  labels: readonly Labels[],
  notes: readonly string[],
): Pick<FleetComparison, 'groups' | 'notes'> {
  const begin = new Map<string, number>();
  const size = new Map<string, number>();
  for (const { groups } of hosts)
    for (const [group, { windows }] of groups) {
      begin.set(group, Math.min(begin.get(group) ?? Number.POSITIVE_INFINITY, windows[0] ?? 0));
      size.set(group, (size.get(group) ?? 0) + 1);
    }
  const all = [...size.keys()].sort((a, b) => (size.get(b) ?? 0) - (size.get(a) ?? 0));
  const kept = all.slice(0, MAX_GROUPS);
  if (all.length === 0) throw new ConfigError(whyNoGroup(name, metric, labels));
  if (all.length === 1)
    throw new ConfigError(
      `--by label=${name}: there is one group in this time, ${JSON.stringify(all[0])} with ${size.get(all[0] ?? '')} hosts: give a longer --last, or another label`,
    );
  const { compare } = new Intl.Collator('en', { numeric: true });
  const without = hosts.filter(({ groups }) => groups.size === 0).length;
  return {
    groups: kept.sort((a, b) => (begin.get(a) ?? 0) - (begin.get(b) ?? 0) || compare(a, b)),
    notes: [
      ...notes,
      ...(all.length > kept.length
        ? [`Left out: ${all.length - kept.length} groups with fewer hosts than these.`]
        : []),
      ...(without === 0 ? [] : [`${without} hosts are in no group: their ${name} is unknown.`]),
    ],
  };
}

function whyNoGroup(name: string, metric: string, sets: readonly Labels[]): string {
  const own = new Set(sets.flatMap((labels) => Object.keys(labels)));
  const known = [...own]
    .filter((label) => label !== '__name__')
    .concat(JOINED_LABELS)
    .sort();
  return JOINED_LABELS.includes(name)
    ? `--by label=${name}: no samples of ${metric} for these hosts in this time: exporters since version 0.1.0 have it, and the agent must send it (docs/fleet.md)`
    : `--by label=${name}: no host has the label ${name}: there are ${known.join(', ')}`;
}

export function emptyWindows({ count }: Windows): string[][] {
  return Array.from({ length: count }, () => []);
}
