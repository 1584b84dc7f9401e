import type { Feature } from '../../model/features.ts';
import { mainNodesOf } from '../../model/numa.ts';
import type { ObservedVm } from '../../model/observed.ts';
import type { Draft } from './draft.ts';
import type { PlanHost } from './host.ts';
import { improvementOf, planOf, type VmPlan } from './plan.ts';
import type { IoThread } from './polling.ts';
import { type Repair, repairOf } from './repair.ts';

/** The additions of a plan to the repair of a VM. */
export interface Wants {
  /** Features to gain. */
  readonly goals: readonly Feature[];
  /** The VM's IOThreads, for polling. */
  readonly ioThreads: readonly IoThread[];
}

export const NO_WANTS: Wants = { goals: [], ioThreads: [] };

/**
 * The input of the plans of a host, as text. Memory, interrupts and the CPUs of the last samples count only as far as
 * they are drift.
 *
 * @param drifts of all VMs, as text
 */
export function basisOf(vms: readonly ObservedVm[], drifts: readonly string[]): string {
  const threads = vms.map(({ vm, pid, cpuset, memory, threads: all }) => [
    vm,
    pid,
    cpuset,
    memory && mainNodesOf(memory),
    all.map(({ tid, label, allowedList, expectation }) => [tid, label, allowedList, expectation]),
  ]);
  return JSON.stringify([threads, drifts]);
}

/**
 * The plans of all VMs of a host. They are made in the order of the VMs, and a CPU that one takes is not free for the next:
 * all plans can be run. All repairs precede all improvements, so that a drift has the same fix with and without them.
 */
export class HostPlans {
  /** By label of the VM, in their order. */
  readonly #repairs = new Map<string, Repair>();
  readonly #plans = new Map<string, VmPlan>();

  constructor(private readonly host: PlanHost) {}

  /** The plan that only repairs the VM. */
  repairOf({ vm }: ObservedVm): VmPlan | undefined {
    const repair = this.#allRepairs.get(vm);
    return repair && planOf(repair, repair.draft, []);
  }

  /** @param wantsOf the same for all calls: the plans of earlier VMs are kept */
  planFor(vm: ObservedVm, wantsOf: (vm: string) => Wants): VmPlan | undefined {
    while (this.advance(vm, wantsOf));
    return this.#plans.get(vm.vm);
  }

  /**
   * Makes one of the repairs and plans on which this VM's plan depends. On a full host all of them take seconds, so
   * the caller must yield between them.
   *
   * @returns false if the VM's plan is made
   */
  advance({ vm }: ObservedVm, wantsOf: (vm: string) => Wants): boolean {
    if (this.#repairNext()) return true;
    if (this.#plans.has(vm)) return false;
    const next = [...this.#repairs][this.#plans.size];
    if (next === undefined) return false;
    const [label, repair] = next;
    const { goals, ioThreads } = wantsOf(label);
    const plan = improvementOf(repair, goals, ioThreads);
    this.#take(plan.draft);
    this.#plans.set(label, plan);
    return true;
  }

  get #allRepairs(): ReadonlyMap<string, Repair> {
    while (this.#repairNext());
    return this.#repairs;
  }

  /** @returns false if all VMs have theirs */
  #repairNext(): boolean {
    const vm = this.host.vms[this.#repairs.size];
    if (vm === undefined) return false;
    const repair = repairOf(this.host, vm);
    this.#take(repair.draft);
    this.#repairs.set(vm.vm, repair);
    return true;
  }

  #take({ moves }: Draft): void {
    for (const { holder, cpus } of moves.values()) this.host.take(holder, cpus);
  }
}
