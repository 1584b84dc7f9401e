import { isPin } from '../../model/confinement.ts';
import type { Holder } from '../../model/cpu-holders.ts';
import { type Feature, isLocal } from '../../model/features.ts';
import type { ObservedThread } from '../../model/observed.ts';
import { IO_THREAD_ROLES } from '../../model/roles.ts';
import { bestCpu, type Rank } from './choice.ts';
import { type Draft, type MemoryMove, memoryMovesOf } from './draft.ts';
import { inOrder } from './repair.ts';

/** Features that a placement gives a VM. The others need another configuration. */
export const PLACED = ['vcpus_pinned', 'io_threads_pinned', 'io_separate_from_vcpus', 'numa_local'] as const;
type Placed = (typeof PLACED)[number];
const OF_IO: ReadonlySet<Placed> = new Set(['io_threads_pinned', 'io_separate_from_vcpus']);

/**
 * Adds the moves that give a VM the features, as many of them as possible in this order. Threads that a repair
 * moves keep the CPUs of the repair. Memory moves only if a feature needs it.
 */
export function improved(repair: Draft, goals: readonly Feature[]): Draft {
  const wanted = PLACED.filter((each) => goals.includes(each));
  const best = withGoals(repair, wanted);
  const unmet = unmetOf(best, wanted);
  if (!unmet.some((goal) => OF_IO.has(goal))) return best;
  // On a small node, such as one of AMD's NPS4, the vCPUs can take all CPUs near the device.
  const ioFirst = withGoals(repair, [...wanted.filter((goal) => OF_IO.has(goal)), ...wanted]);
  return unmetOf(ioFirst, wanted).length < unmet.length ? ioFirst : best;
}

function unmetOf(draft: Draft, goals: readonly Placed[]): Placed[] {
  return goals.filter((goal) => !isMet(draft, goal));
}

function withGoals(repair: Draft, goals: readonly Placed[]): Draft {
  let best = repair;
  for (const goal of goals) {
    if (isMet(best, goal)) continue;
    const found = [best.memoryMove, ...memoryMoves(best)]
      .map((move) => withGoal(best, goal, repair, move))
      .find((draft) => draft !== undefined);
    best = found ?? best;
  }
  return best;
}

function memoryMoves({ host, vm, memoryMove }: Draft): readonly MemoryMove[] {
  return memoryMove === undefined ? memoryMovesOf(host, vm) : [];
}

/** @returns undefined if the goal is out of reach */
function withGoal(
  before: Draft,
  goal: Placed,
  repair: Draft,
  memoryMove: MemoryMove | undefined,
): Draft | undefined {
  const draft = before.copy(memoryMove);
  const { vm } = draft;
  const near = new Set(draft.facts.cpusNear(vm.deviceNodes));
  for (const thread of threadsFor(draft, goal)) {
    const cpu = repair.moves.has(thread) ? undefined : pinnedTo(draft, { vm, thread }, near);
    if (cpu === undefined) return undefined;
    draft.move({ vm, thread }, [cpu]);
  }
  const crossed = crossingThreads(before);
  const isWorse = crossingThreads(draft).some((thread) => !crossed.includes(thread));
  return isMet(draft, goal) && !isWorse ? draft : undefined;
}

function crossingThreads(draft: Draft): ObservedThread[] {
  return draft.vm.threads.filter((thread) => draft.crossing(thread, draft.cpusOf(thread)) !== undefined);
}

/** As `featuresOf` will judge the placement. */
export function isMet(draft: Draft, goal: Placed): boolean {
  const { vm, facts, memory } = draft;
  const io = ioThreadsOf(vm.threads).map((thread) => draft.cpusOf(thread));
  const vcpus = vm.threads.filter(({ role }) => role === 'vcpu').map((thread) => draft.cpusOf(thread));
  if (goal === 'numa_local') return isLocal(facts, vcpus, io, memory, vm.deviceNodes) !== false;
  return threadsFor(draft, goal).length === 0;
}

/** The threads that have to move for the goal. */
function threadsFor(draft: Draft, goal: Placed): ObservedThread[] {
  const threads = inOrder(draft.vm.threads);
  const vcpus = threads.filter(({ role }) => role === 'vcpu');
  const io = ioThreadsOf(threads);
  const isUnpinned = (thread: ObservedThread): boolean => !isPinned(draft, thread);
  switch (goal) {
    case 'vcpus_pinned':
      return vcpus.filter(isUnpinned);
    case 'io_threads_pinned':
      return io.filter(isUnpinned);
    case 'io_separate_from_vcpus': {
      const taken = cpusOfAll(draft, vcpus);
      return io.filter((thread) => draft.cpusOf(thread).some((cpu) => taken.has(cpu)));
    }
    case 'numa_local':
      return [...vcpus, ...io].filter((thread) => !isOnGoodNode(draft, thread));
  }
}

/** An own CPU for a thread: near the device, of the kind that the VM uses, on an empty core if there is one. */
function pinnedTo(draft: Draft, holder: Holder, near: ReadonlySet<number>): number | undefined {
  const { facts, vm } = draft;
  const { thread } = holder;
  const { topology, isolated } = facts;
  const usesIsolated = vm.threads.some((each) => {
    const cpus = draft.cpusOf(each);
    return cpus.length === 1 && isolated.has(cpus[0] ?? -1);
  });
  // Do not place an I/O thread on a CPU that a vCPU may use.
  const ofVcpus = thread.role === 'vcpu' ? new Set() : cpusOfAll(draft, pinnedVcpus(draft));
  const expected = new Set(thread.expectation?.source === 'config' ? thread.expectation.cpus : undefined);
  const candidates = topology.cpus
    .map(({ cpu }) => cpu)
    .filter((cpu) => !ofVcpus.has(cpu) && (expected.size === 0 || expected.has(cpu)));
  // A vCPU needs its memory near, and a core of its own there more than the device's node.
  const isCoreFirst = thread.role === 'vcpu' && draft.memory !== undefined;
  const rank = (cpu: number): Rank => {
    const far = near.has(topology.nodeOf.get(cpu) ?? -1) ? 0 : 1;
    const shared = draft.isCoreEmpty(cpu) ? 0 : 1;
    return [
      isolated.has(cpu) === usesIsolated ? 0 : 1,
      ...(isCoreFirst ? [shared, far] : [far, shared]),
      facts.slower(cpu, undefined),
      cpu,
    ];
  };
  return bestCpu(draft, holder, candidates, rank);
}

function pinnedVcpus(draft: Draft): ObservedThread[] {
  return draft.vm.threads.filter((thread) => thread.role === 'vcpu' && isPinned(draft, thread));
}

function cpusOfAll(draft: Draft, threads: readonly ObservedThread[]): Set<number> {
  const lists = new Set(threads.map((thread) => draft.cpusOf(thread)));
  return new Set([...lists].flat());
}

function isPinned(draft: Draft, thread: ObservedThread): boolean {
  const { facts, vm } = draft;
  const threads = vm.threads.map((each) => ({ allowed: draft.cpusOf(each) }));
  return isPin(facts.mask(draft.cpusOf(thread)), { unpinned: vm.unpinned, threads }, facts) === true;
}

function isOnGoodNode(draft: Draft, thread: ObservedThread): boolean {
  const cpus = draft.cpusOf(thread);
  return draft.facts.nodes(cpus).length === 1 && draft.crossing(thread, cpus) === undefined;
}

/** In a VM without I/O threads the emulator does the I/O. */
export function ioThreadsOf(threads: readonly ObservedThread[]): readonly ObservedThread[] {
  const io = threads.filter(({ role }) => IO_THREAD_ROLES.has(role));
  return io.length > 0 ? io : threads.filter(({ role }) => role === 'emulator');
}
