import { addTo, append } from '../../../kernel/maps.ts';
import type { NumaPages } from '../../../probes/proc-numa-maps.ts';
import { areInConflict, type Holder, placeOf } from '../../model/cpu-holders.ts';
import { crossingOf } from '../../model/drift-nodes.ts';
import { mainNodesOf } from '../../model/numa.ts';
import { isPinnedByLibvirt, type ObservedThread, type ObservedVm, permitted } from '../../model/observed.ts';
import { IO_THREAD_ROLES, SAMPLED_ROLES } from '../../model/roles.ts';
import type { TopologyFacts } from '../../model/topology-facts.ts';
import { isBound, type PlanHost } from './host.ts';

/** Moves the memory of a VM. */
export interface MemoryMove {
  readonly from: readonly number[];
  readonly to: number;
}

export interface Move {
  readonly holder: Holder;
  /** Online CPUs that the thread's cgroup allows, ascending. */
  readonly cpus: readonly number[];
}

const NOBODY: readonly Holder[] = [];

/** A new placement of one VM's threads and memory, built step by step from the present one. */
export class Draft {
  readonly moves = new Map<ObservedThread, Move>();
  readonly memory: NumaPages | undefined;
  /** Moved threads by the one CPU that they get. */
  readonly #arrived = new Map<number, Holder[]>();

  constructor(
    readonly host: PlanHost,
    readonly vm: ObservedVm,
    readonly memoryMove: MemoryMove | undefined,
  ) {
    this.memory = memoryMove === undefined ? vm.memory : movedPages(vm.memory, memoryMove);
  }

  get facts(): TopologyFacts {
    return this.host.facts;
  }

  /** A copy with the same moves. If the memory has no move yet, the copy moves it. */
  copy(memoryMove = this.memoryMove): Draft {
    const copy = new Draft(this.host, this.vm, memoryMove);
    for (const { holder, cpus } of this.moves.values()) copy.move(holder, cpus);
    return copy;
  }

  move(holder: Holder, cpus: readonly number[]): void {
    const before = this.moves.get(holder.thread);
    const left = before === undefined ? undefined : this.#placeAt(holder, before.cpus);
    if (left !== undefined) {
      const others = (this.#arrived.get(left) ?? []).filter(({ thread }) => thread !== holder.thread);
      this.#arrived.set(left, others);
    }
    this.moves.set(holder.thread, { holder, cpus });
    const cpu = this.#placeAt(holder, cpus);
    if (cpu !== undefined) append(this.#arrived, cpu, holder);
  }

  /** The online CPUs of a thread. */
  cpusOf(thread: ObservedThread): readonly number[] {
    return this.moves.get(thread)?.cpus ?? this.facts.mask(thread.allowed).online;
  }

  /** The one CPU to which the thread is confined. */
  placeOf(holder: Holder): number | undefined {
    return this.#placeAt(holder, this.cpusOf(holder.thread));
  }

  /** Threads with which a thread may not share this CPU or its core. */
  conflictsAt(holder: Holder, cpu: number): Holder[] {
    const conflicts: Holder[] = [];
    this.#onCore(cpu, (each) => {
      for (const others of [this.host.holders.at(each), this.#arrived.get(each) ?? NOBODY])
        for (const other of others) if (this.#conflicts(holder, other, each, cpu)) conflicts.push(other);
      return false;
    });
    return conflicts;
  }

  /**
   * Whether the thread can have this CPU now, and also after all other threads are back on their CPUs and the earlier
   * plans have run.
   */
  isFree(holder: Holder, cpu: number): boolean {
    const { host } = this;
    return !this.#onCore(cpu, (each) => {
      const comes = (other: Holder): boolean =>
        other.thread !== holder.thread &&
        !this.moves.has(other.thread) &&
        areInConflict(holder, other, each === cpu);
      const stays = (other: Holder): boolean => this.#conflicts(holder, other, each, cpu);
      return (
        host.takenBy(each).some(comes) ||
        host.holders.at(each).some(stays) ||
        (this.#arrived.get(each) ?? NOBODY).some(stays) ||
        host.absentFrom(each).some(comes)
      );
    });
  }

  /** Whether no thread is confined to the core of this CPU, now or by an earlier plan. */
  isCoreEmpty(cpu: number): boolean {
    const { host } = this;
    const isEmpty = (each: number): boolean =>
      [host.holders.at(each), host.takenBy(each), this.#arrived.get(each) ?? NOBODY].every(
        ({ length }) => length === 0,
      );
    return isEmpty(cpu) && this.facts.siblings(cpu).every(isEmpty);
  }

  /** The CPUs among these to which the thread can be pinned. */
  within({ vm, thread }: Holder, cpus: readonly number[]): readonly number[] {
    const { online } = this.facts;
    const limits = [permitted(vm, thread), this.#emulatorLimit({ vm, thread })].flatMap((limit) =>
      limit === undefined ? [] : [new Set(limit)],
    );
    return cpus.filter((cpu) => online.has(cpu) && limits.every((limit) => limit.has(cpu)));
  }

  /** Why the thread crosses NUMA nodes, on these CPUs; undefined if it does not, or if no node is wrong for it. */
  crossing(thread: ObservedThread, cpus: readonly number[]): string | undefined {
    const { vm, facts, memory } = this;
    const expected = thread.expectation?.cpus ?? thread.allowed;
    if (!isBound(vm, expected, cpus, facts)) return undefined;
    const seenOn = cpus === this.cpusOf(thread) && !this.moves.has(thread) ? thread.seenOn : [];
    const { deviceNodes, takersOf } = vm;
    const interruptCpus = this.#interruptCpus(thread, cpus);
    return crossingOf(
      { memory, deviceNodes, interruptCpus, takersOf },
      { role: thread.role, seenOn, allowed: cpus },
      facts,
    );
  }

  /** Whether any CPU of the core has this. */
  #onCore(cpu: number, has: (each: number) => boolean): boolean {
    return has(cpu) || this.facts.siblings(cpu).some(has);
  }

  #conflicts(holder: Holder, other: Holder, at: number, cpu: number): boolean {
    return (
      this.#isAt(other, at) && other.thread !== holder.thread && areInConflict(holder, other, at === cpu)
    );
  }

  #placeAt({ vm, thread }: Holder, cpus: readonly number[]): number | undefined {
    return SAMPLED_ROLES.has(thread.role) ? placeOf(vm, cpus, this.facts) : undefined;
  }

  /** Whether a thread that is on this CPU, or moves there, stays. */
  #isAt({ thread }: Holder, cpu: number): boolean {
    const move = this.moves.get(thread);
    return move === undefined || (move.cpus.length === 1 && move.cpus[0] === cpu);
  }

  /** libvirt's emulatorpin also confines the other threads of the emulator's cgroup, such as vhost workers. */
  #emulatorLimit({ vm, thread }: Holder): readonly number[] | undefined {
    if (vm.domain === '' || isPinnedByLibvirt(vm, thread) || thread.cpuset === undefined) return undefined;
    const emulator = vm.threads.find(({ role }) => role === 'emulator');
    return emulator === undefined ? undefined : this.moves.get(emulator)?.cpus;
  }

  /** The CPUs that take the interrupts when all threads are where the draft puts them. */
  #interruptCpus(moving: ObservedThread, to: readonly number[]): readonly number[] {
    const io = this.vm.threads.filter(({ role }) => IO_THREAD_ROLES.has(role));
    if (to === this.cpusOf(moving) && io.every((thread) => !this.moves.has(thread)))
      return this.vm.interruptCpus;
    const cpus = io.flatMap((thread) => {
      if (thread === moving) return to;
      return this.moves.get(thread)?.cpus ?? thread.seenOn;
    });
    return [...new Set(cpus.flatMap((cpu) => this.vm.takersOf(cpu)))];
  }
}

function movedPages(memory: NumaPages | undefined, { from, to }: MemoryMove): NumaPages | undefined {
  if (memory === undefined) return undefined;
  const pages = new Map(memory);
  for (const node of from) {
    addTo(pages, to, pages.get(node) ?? 0);
    pages.delete(node);
  }
  return pages;
}

/**
 * Moves of the memory to where the VM's block devices are, or its threads belong: only to nodes that have
 * memory and that the VM may use.
 */
export function memoryMovesOf({ facts }: PlanHost, vm: ObservedVm): MemoryMove[] {
  const from = vm.memory === undefined ? [] : mainNodesOf(vm.memory);
  if (from.length === 0 || facts.topology.nodes.length < 2) return [];
  const lists = new Set(vm.threads.map(({ expectation, allowed }) => expectation?.cpus ?? allowed));
  const threads = [...lists].flatMap((cpus) => facts.nodes(cpus)).sort((a, b) => a - b);
  const nodes = [facts.cpusNear(vm.deviceNodes), facts.cpusNear(from), threads];
  const targets = new Set(nodes.flatMap((near) => facts.memoryNear(near)));
  return [...targets]
    .filter((node) => !from.includes(node) && vm.mems?.includes(node) !== false)
    .map((to) => ({ from, to }));
}
