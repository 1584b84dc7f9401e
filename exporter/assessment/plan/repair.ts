import { formatCpuList } from '../../../kernel/cpu-list.ts';
import { isPin } from '../../model/confinement.ts';
import { type Holder, placeOf } from '../../model/cpu-holders.ts';
import type { ObservedThread, ObservedVm } from '../../model/observed.ts';
import { SAMPLED_ROLES } from '../../model/roles.ts';
import { bestCpu } from './choice.ts';
import { Draft, type MemoryMove, type Move, memoryMovesOf } from './draft.ts';
import type { PlanHost } from './host.ts';

/** A drift that no command repairs. */
export interface Left {
  /** The `thread` label. */
  readonly thread: string;
  readonly why: string;
}

export interface Repair {
  readonly draft: Draft;
  readonly left: readonly Left[];
}

/** The placement that leaves the least drift. Memory moves only if that leaves less. */
export function repairOf(host: PlanHost, vm: ObservedVm): Repair {
  let best = repaired(host, vm, undefined);
  if (best.left.length === 0) return best;
  for (const move of memoryMovesOf(host, vm)) {
    const repair = repaired(host, vm, move);
    if (repair.left.length < best.left.length) best = repair;
  }
  return best;
}

/** A thread that cannot get back without disturbing another VM stays, and the plan is made again without it. */
function repaired(
  host: PlanHost,
  vm: ObservedVm,
  memoryMove: MemoryMove | undefined,
  staying: ReadonlyMap<ObservedThread, Left> = new Map(),
): Repair {
  const repairing = new Repairing(new Draft(host, vm, memoryMove), staying);
  const repair = repairing.run();
  const { disturbing } = repairing;
  return disturbing.size === 0
    ? repair
    : repaired(host, vm, memoryMove, new Map([...staying, ...disturbing]));
}

/** A move that repairs one thread can disturb another, but rarely more than once. */
const ROUNDS = 3;

/**
 * Restores the expected affinity of a VM's threads, then moves those that still share a CPU or cross nodes.
 * Threads that must stay come first, then vCPUs, so that the others yield to them.
 */
class Repairing {
  readonly #holders: readonly Holder[];
  readonly #settled = new Set<ObservedThread>();
  /** Threads that would share a CPU with another VM at their expected CPUs, and have no other. */
  readonly disturbing = new Map<ObservedThread, Left>();
  #left = new Map<ObservedThread, Left>();

  constructor(
    private readonly draft: Draft,
    private readonly staying: ReadonlyMap<ObservedThread, Left>,
  ) {
    const { vm } = draft;
    this.#holders = inOrder(vm.threads).map((thread) => ({ vm, thread }));
  }

  run(): Repair {
    const { draft, staying } = this;
    for (const holder of this.#holders) {
      const home = draft.within(holder, draft.host.homeOf(holder.thread) ?? []);
      if (home.length > 0 && !staying.has(holder.thread)) draft.move(holder, home);
    }
    for (let round = 0; round < ROUNDS; round++) {
      this.#settled.clear();
      this.#left = new Map(staying);
      let hasMoved = false;
      for (const holder of this.#holders) {
        if (!staying.has(holder.thread)) hasMoved = this.#settle(holder) || hasMoved;
        this.#settled.add(holder.thread);
      }
      if (!hasMoved) break;
    }
    return { draft, left: [...this.#left.values()] };
  }

  /** @returns whether the thread was moved */
  #settle(holder: Holder): boolean {
    const { draft } = this;
    const { thread } = holder;
    const isAway = draft.host.homeOf(thread) !== undefined;
    if (isAway && !draft.moves.has(thread)) {
      return this.#moveAway(holder, 'homeless', 'none of its expected CPUs is online and permitted');
    }
    const place = draft.placeOf(holder);
    const rivals = place === undefined ? [] : this.#rivalsAt(holder, place);
    if (rivals.length > 0) {
      const names = rivals.map((rival) => nameOf(rival, draft.vm)).join(', ');
      if (this.#moveAway(holder, 'rival', `CPU ${place} or its core also belongs to ${names}`)) return true;
      const left = this.#left.get(thread);
      const disturbs = isAway && rivals.some(({ vm }) => vm !== draft.vm);
      if (disturbs && left !== undefined) this.disturbing.set(thread, left);
      return false;
    }
    if (thread.expectation === undefined) return false;
    const cpus = draft.cpusOf(thread);
    const crossing = draft.crossing(thread, cpus);
    if (crossing !== undefined) return this.#moveAway(holder, 'crossing', crossing);
    return isRestless(draft, thread, cpus) && this.#narrow(holder, cpus);
  }

  /** Threads that block this thread's CPU, without threads of other VMs that the plan moves away. */
  #rivalsAt(holder: Holder, cpu: number): Holder[] {
    const { draft } = this;
    const rivals = draft
      .conflictsAt(holder, cpu)
      .filter(({ vm, thread }) => vm !== draft.vm || this.#settled.has(thread));
    return rivals.filter((rival) => rival.vm === draft.vm || !this.#sendHome(rival));
  }

  #sendHome(holder: Holder): boolean {
    const moves = homecoming(this.draft, holder, new Set()) ?? [];
    const trial = this.draft.copy();
    for (const { holder: each, cpus } of moves) trial.move(each, cpus);
    // Threads whose expected affinity is the same CPU would conflict there again.
    const isApart = ({ holder: each }: Move): boolean => {
      const place = trial.placeOf(each);
      return place === undefined || trial.conflictsAt(each, place).length === 0;
    };
    if (moves.length === 0 || !moves.every(isApart)) return false;
    for (const { holder: each, cpus } of moves) this.draft.move(each, cpus);
    return true;
  }

  /** Pins a thread to a CPU without any drift: one of its expected CPUs, else any. */
  #moveAway(holder: Holder, cause: 'homeless' | 'rival' | 'crossing', why: string): boolean {
    const { draft } = this;
    const { thread } = holder;
    const { facts } = draft;
    const { topology, isolated } = facts;
    const expected = facts.mask(thread.expectation?.cpus ?? []).online;
    const isExpected = new Set(expected);
    const place = draft.placeOf(holder);
    const node = place === undefined ? undefined : topology.nodeOf.get(place);
    const usesIsolated = mayUseIsolated(draft, thread);
    const isUsual = (cpu: number): boolean => {
      if (isExpected.has(cpu)) return true;
      if (isolated.has(cpu) !== usesIsolated) return false;
      // If the node of its memory is unknown, a thread stays on its node.
      return cause !== 'rival' || draft.memory !== undefined || topology.nodeOf.get(cpu) === node;
    };
    const all = topology.cpus.map(({ cpu }) => cpu);
    const cpu = bestCpu(draft, holder, (isFixed(thread) ? expected : all).filter(isUsual), (each) => [
      isExpected.has(each) ? 0 : 1,
      each === place ? 0 : 1,
      topology.nodeOf.get(each) === node ? 0 : 1,
      facts.slower(each, place),
      draft.isCoreEmpty(each) ? 0 : 1,
      each,
    ]);
    const wide = cause === 'crossing' && !isFixed(thread) ? nodeFor(draft, holder) : undefined;
    const cpus = cpu === undefined ? wide : [cpu];
    if (cpus !== undefined && SAMPLED_ROLES.has(thread.role)) {
      draft.move(holder, cpus);
      return true;
    }
    const reason = isFixed(thread)
      ? `the configuration (vms) pins it to CPUs ${facts.mask(thread.expectation?.cpus ?? []).text}`
      : 'no permitted CPU is free';
    this.#left.set(thread, { thread: thread.label, why: `${why}; ${reason}` });
    return false;
  }

  /** Pins a thread that moves among its CPUs to one of them. */
  #narrow(holder: Holder, cpus: readonly number[]): boolean {
    const { draft } = this;
    const { thread } = holder;
    const cpu = bestCpu(draft, holder, cpus, (each) => [draft.isCoreEmpty(each) ? 0 : 1, each]);
    if (cpu === undefined) {
      const why = `it moves among CPUs ${formatCpuList(cpus)}, and none of them is free`;
      this.#left.set(thread, { thread: thread.label, why });
      return false;
    }
    draft.move(holder, [cpu]);
    return true;
  }
}

/**
 * The moves that restore a thread of another VM, and first those that took its place. undefined if that is not
 * possible, or causes another drift.
 */
function homecoming(draft: Draft, holder: Holder, sent: Set<ObservedThread>): Move[] | undefined {
  const { vm, thread } = holder;
  if (vm === draft.vm || draft.moves.has(thread)) return undefined;
  if (sent.has(thread)) return [];
  sent.add(thread);
  const cpus = draft.within(holder, draft.host.homeOf(thread) ?? []);
  if (cpus.length === 0 || crossesThen(draft.host, holder, cpus)) return undefined;
  const place = placeOf(vm, cpus, draft.facts);
  const moves: Move[] = [];
  for (const other of place === undefined ? [] : draft.conflictsAt(holder, place)) {
    const before = homecoming(draft, other, sent);
    if (before === undefined) return undefined;
    moves.push(...before);
  }
  return [...moves, { holder, cpus }];
}

/** Whether a thread of the VM crosses NUMA nodes after the move that does not cross any now. */
function crossesThen(host: PlanHost, holder: Holder, cpus: readonly number[]): boolean {
  const { vm } = holder;
  const [now, then] = [new Draft(host, vm, undefined), new Draft(host, vm, undefined)];
  then.move(holder, cpus);
  const crosses = (draft: Draft, thread: ObservedThread): boolean =>
    draft.crossing(thread, draft.cpusOf(thread)) !== undefined;
  return vm.threads.some((thread) => crosses(then, thread) && !crosses(now, thread));
}

/**
 * All free CPUs of the first node on which a thread crosses none. Not those of other threads, which it would disturb, and not
 * isolated CPUs: the scheduler does not balance load between those.
 */
function nodeFor(draft: Draft, holder: Holder): readonly number[] | undefined {
  const { topology } = draft.facts;
  for (const node of topology.nodes) {
    const usual = topology.cpus.filter((cpu) => cpu.node === node && !cpu.isolated).map(({ cpu }) => cpu);
    const cpus = draft.within(holder, usual).filter((cpu) => draft.isFree(holder, cpu));
    if (cpus.length > 1 && draft.crossing(holder.thread, cpus) === undefined) return cpus;
  }
  return undefined;
}

/** Isolated CPUs are reserved: only a thread that is pinned to one gets another. */
function mayUseIsolated({ vm, facts }: Draft, { expectation, allowed }: ObservedThread): boolean {
  const expected = facts.mask(expectation?.cpus ?? []);
  const cpus = expected.online.length > 0 ? expected : facts.mask(allowed);
  return isPin(cpus, vm, facts) !== false && cpus.online.some((cpu) => facts.isolated.has(cpu));
}

/** A pin in the configuration stays: the plan does not edit the configuration. */
function isFixed({ expectation }: ObservedThread): boolean {
  return expectation?.source === 'config';
}

function isRestless({ host, vm, facts }: Draft, thread: ObservedThread, cpus: readonly number[]): boolean {
  const { migrationsPerSecond: rate, expectation } = thread;
  if (rate === undefined || rate <= host.maxMigrationsPerSecond || cpus.length < 2) return false;
  // Rates on the present CPUs say nothing about other CPUs.
  if (formatCpuList(facts.mask(thread.allowed).online) !== formatCpuList(cpus)) return false;
  return expectation !== undefined && isPin(facts.mask(expectation.cpus), vm, facts) !== false;
}

/** `vcpu2` before `vcpu10`. */
const NAMES = new Intl.Collator('en', { numeric: true });

export function inOrder(threads: readonly ObservedThread[]): ObservedThread[] {
  const rank = (thread: ObservedThread): number => {
    // First, since libvirt's emulatorpin limits the CPUs of others.
    if (thread.role === 'emulator') return 0;
    if (thread.expectation === undefined) return 5;
    return (isFixed(thread) ? 1 : 3) + (thread.role === 'vcpu' ? 0 : 1);
  };
  return threads
    .map((thread) => ({ thread, rank: rank(thread) }))
    .sort((a, b) => a.rank - b.rank || NAMES.compare(a.thread.label, b.thread.label))
    .map(({ thread }) => thread);
}

function nameOf({ vm, thread }: Holder, self: ObservedVm): string {
  return vm === self ? thread.label : `${thread.label} of ${vm.vm}`;
}
