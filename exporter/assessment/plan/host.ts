import { append } from '../../../kernel/maps.ts';
import { isPin } from '../../model/confinement.ts';
import { CpuHolders, type Holder, placeOf } from '../../model/cpu-holders.ts';
import type { ObservedThread, ObservedVm } from '../../model/observed.ts';
import { SAMPLED_ROLES } from '../../model/roles.ts';
import { isWithin, type TopologyFacts } from '../../model/topology-facts.ts';

/** The host for which plans are made. Built once per round of the affinity check, for the plans of all VMs. */
export class PlanHost {
  #strays: Strays | undefined;
  /** By the one CPU that a plan gives them. */
  readonly #taken = new Map<number, Holder[]>();

  constructor(
    readonly vms: readonly ObservedVm[],
    readonly holders: CpuHolders,
    readonly maxMigrationsPerSecond: number,
  ) {}

  get facts(): TopologyFacts {
    return this.holders.facts;
  }

  /** The online CPUs to which a thread that left its expected affinity belongs; undefined for others. */
  homeOf(thread: ObservedThread): readonly number[] | undefined {
    return this.#all.homes.get(thread);
  }

  /** Threads that are elsewhere and belong to this CPU alone. */
  absentFrom(cpu: number): readonly Holder[] {
    return this.#all.byCpu.get(cpu) ?? [];
  }

  /** The same host, without reservations. */
  fresh(): PlanHost {
    return new PlanHost(this.vms, this.holders, this.maxMigrationsPerSecond);
  }

  /** Reserves the CPU that a plan gives a thread, if it is one. */
  take(holder: Holder, cpus: readonly number[]): void {
    const isPlaced = SAMPLED_ROLES.has(holder.thread.role);
    const cpu = isPlaced ? placeOf(holder.vm, cpus, this.facts) : undefined;
    if (cpu !== undefined) append(this.#taken, cpu, holder);
  }

  /** Threads that get this CPU by an earlier plan. */
  takenBy(cpu: number): readonly Holder[] {
    return this.#taken.get(cpu) ?? [];
  }

  get #all(): Strays {
    this.#strays ??= straysOf(this.vms, this.facts);
    return this.#strays;
  }
}

export function planHostOf(
  vms: readonly ObservedVm[],
  facts: TopologyFacts,
  maxMigrationsPerSecond: number,
): PlanHost {
  return new PlanHost(vms, new CpuHolders(vms, facts), maxMigrationsPerSecond);
}

interface Strays {
  readonly homes: ReadonlyMap<ObservedThread, readonly number[]>;
  readonly byCpu: ReadonlyMap<number, readonly Holder[]>;
}

function straysOf(vms: readonly ObservedVm[], facts: TopologyFacts): Strays {
  const homes = new Map<ObservedThread, readonly number[]>();
  const byCpu = new Map<number, Holder[]>();
  for (const vm of vms) {
    for (const thread of vm.threads) {
      if (!hasLeft(thread, facts)) continue;
      const { online } = facts.mask(thread.expectation?.cpus ?? []);
      homes.set(thread, online);
      const cpu = SAMPLED_ROLES.has(thread.role) ? placeOf(vm, online, facts) : undefined;
      if (cpu !== undefined) append(byCpu, cpu, { vm, thread });
    }
  }
  return { homes, byCpu };
}

/** Whether a thread is not confined to its expected CPUs. */
function hasLeft({ expectation, allowed, allowedList }: ObservedThread, facts: TopologyFacts): boolean {
  if (expectation === undefined) return false;
  const expected = facts.mask(expectation.cpus);
  if (expected.online.length === 0) return true;
  if (allowedList === expected.text) return false;
  const { online } = facts.mask(allowed);
  return online.length === 0 || !isWithin(online, expected.online);
}

/** Whether a thread is, or should be, pinned: only then the NUMA nodes on which it runs can be wrong. */
export function isBound(
  vm: ObservedVm,
  expected: readonly number[],
  cpus: readonly number[],
  facts: TopologyFacts,
): boolean {
  return [expected, cpus].some((each) => isPin(facts.mask(each), vm, facts) !== false);
}
