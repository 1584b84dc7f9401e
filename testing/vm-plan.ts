import type { PlanHost } from '../exporter/assessment/plan/host.ts';
import { improvementOf, type VmPlan } from '../exporter/assessment/plan/plan.ts';
import type { IoThread } from '../exporter/assessment/plan/polling.ts';
import { repairOf } from '../exporter/assessment/plan/repair.ts';
import type { Feature } from '../exporter/model/features.ts';
import type { ObservedVm } from '../exporter/model/observed.ts';

/** The plan of one VM, without regard to the plans of others. Parameters as in {@link improvementOf}. */
export function planFor(
  host: PlanHost,
  vm: ObservedVm,
  goals: readonly Feature[] = [],
  ioThreads: readonly IoThread[] = [],
): VmPlan {
  return improvementOf(repairOf(host, vm), goals, ioThreads);
}
