import type { VmAffinity } from '../../model/affinity-reading.ts';
import { driftsOf } from '../../model/drift.ts';
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
