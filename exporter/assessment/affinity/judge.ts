import type { VmAffinity } from '../../model/affinity-reading.ts';
import { type Drift, driftsOf } from '../../model/drift.ts';
import { localSharesOf } from '../../model/local-shares.ts';
import type { ObservedVm } from '../../model/observed.ts';
import { Yielder } from '../../schedule/yielder.ts';
import type { PlanHost } from '../plan/host.ts';

/** Finds the drift of all VMs of a host. Two VMs that claim one CPU drift together. */
export async function judge(
  vms: ReadonlyMap<string, ObservedVm>,
  { holders, facts, maxMigrationsPerSecond }: PlanHost,
): Promise<ReadonlyMap<string, VmAffinity>> {
  const yielder = new Yielder();
  const affinities = new Map<string, VmAffinity>();
  for (const [key, observed] of vms) {
    if (yielder.isDue()) await yielder.yield();
    const drifts = driftsOf({ vm: observed, holders, maxMigrationsPerSecond });
    affinities.set(key, { observed, drifts, ...localSharesOf(observed, facts) });
  }
  return affinities;
}

export interface DriftChange {
  /** Of the VM. */
  readonly key: string;
  readonly drift: Drift;
  readonly began: boolean;
}

/** The drifts that began and those that ended, by VM. */
export function changesBetween(
  before: ReadonlyMap<string, VmAffinity>,
  now: ReadonlyMap<string, VmAffinity>,
): DriftChange[] {
  const gone = [...before.keys()].filter((key) => !now.has(key));
  return [...now.keys(), ...gone].flatMap((key) =>
    changesOf(key, before.get(key)?.drifts ?? [], now.get(key)?.drifts ?? []),
  );
}

function changesOf(key: string, before: readonly Drift[], now: readonly Drift[]): DriftChange[] {
  const [old, current] = [new Set(before.map(keyOf)), new Set(now.map(keyOf))];
  return [
    ...now.filter((drift) => !old.has(keyOf(drift))).map((drift) => ({ key, drift, began: true })),
    ...before.filter((drift) => !current.has(keyOf(drift))).map((drift) => ({ key, drift, began: false })),
  ];
}

function keyOf({ thread, kind }: Drift): string {
  return `${thread} ${kind}`;
}
