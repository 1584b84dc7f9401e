import type { VmAffinity } from '../../model/affinity-reading.ts';
import { CpuHolders } from '../../model/cpu-holders.ts';
import { type Drift, driftsOf } from '../../model/drift.ts';
import { localSharesOf } from '../../model/local-shares.ts';
import type { ObservedVm } from '../../model/observed.ts';
import type { TopologyFacts } from '../../model/topology-facts.ts';
import { Yielder } from '../../schedule/yielder.ts';

/** Finds the drift of all VMs of a host. Two VMs that claim one CPU drift together. */
export async function judge(
  vms: ReadonlyMap<string, ObservedVm>,
  facts: TopologyFacts,
  maxMigrationsPerSecond: number,
): Promise<ReadonlyMap<string, VmAffinity>> {
  const yielder = new Yielder();
  const holders = new CpuHolders([...vms.values()], facts);
  const affinities = new Map<string, VmAffinity>();
  for (const [key, observed] of vms) {
    if (yielder.isDue()) await yielder.yield();
    const drifts = driftsOf({ vm: observed, holders, maxMigrationsPerSecond });
    affinities.set(key, { observed, drifts, ...localSharesOf(observed, facts) });
  }
  return affinities;
}

export interface DriftChange {
  readonly drift: Drift;
  readonly began: boolean;
}

/** The drifts that began and those that ended, by VM. */
export function changesBetween(
  before: ReadonlyMap<string, VmAffinity>,
  now: ReadonlyMap<string, VmAffinity>,
): DriftChange[] {
  const current = [...now].flatMap(([key, { drifts }]) => changesOf(before.get(key)?.drifts ?? [], drifts));
  const gone = [...before].filter(([key]) => !now.has(key));
  return [...current, ...gone.flatMap(([, { drifts }]) => changesOf(drifts, []))];
}

function changesOf(before: readonly Drift[], now: readonly Drift[]): DriftChange[] {
  const [old, current] = [new Set(before.map(keyOf)), new Set(now.map(keyOf))];
  return [
    ...now.filter((drift) => !old.has(keyOf(drift))).map((drift) => ({ drift, began: true })),
    ...before.filter((drift) => !current.has(keyOf(drift))).map((drift) => ({ drift, began: false })),
  ];
}

function keyOf({ thread, kind }: Drift): string {
  return `${thread} ${kind}`;
}
