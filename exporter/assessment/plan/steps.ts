import { formatCpuList } from '../../../kernel/cpu-list.ts';
import { shellWord } from '../../../kernel/shell.ts';
import { argumentFor, isPinnedByLibvirt, type ObservedVm, pinCommand } from '../../model/observed.ts';
import { ANY } from '../affinity/accepted.ts';
import type { Draft, Move } from './draft.ts';

/** One command of a plan. */
export interface PlanStep {
  /** `accept` changes only what kvm-telemetry expects. */
  readonly what: 'pin' | 'memory' | 'polling' | 'accept';
  /** For a shell, or `QMP` and a command for the VM's monitor. */
  readonly command: string;
  /** The command that takes it back; undefined if there is none. */
  readonly undo: string | undefined;
  /** The `vm` label: a plan may restore a thread of another VM that took a CPU of this one. */
  readonly vm: string;
  /** The threads that the command affects. */
  readonly threads: readonly string[];
}

export interface Steps {
  readonly steps: readonly PlanStep[];
  /** By {@link nameOfThread}. */
  readonly byThread: ReadonlyMap<string, PlanStep>;
}

/** The same for each observation of a thread. */
export function nameOfThread(vm: string, label: string): string {
  return `${vm} ${label}`;
}

export function stepsOf(draft: Draft): Steps {
  const byThread = new Map<string, PlanStep>();
  const pins = ordered(draft).map(({ holder: { vm, thread }, cpus }) => {
    const before = draft.facts.mask(thread.allowed).online;
    const step: PlanStep = {
      what: 'pin',
      command: pinCommand(vm, thread, cpus),
      undo: pinCommand(vm, thread, before),
      vm: vm.vm,
      threads: [thread.label],
    };
    byThread.set(nameOfThread(vm.vm, thread.label), step);
    return step;
  });
  return { steps: [...pins, ...memoryStep(draft), ...acceptStep(draft)], byThread };
}

/**
 * A thread moves after the thread that has its CPU now, so that the two do not share the CPU. Threads that swap CPUs
 * share one for a moment.
 */
function ordered({ moves, facts, host }: Draft): Move[] {
  const isNew = ({ holder: { thread }, cpus }: Move): boolean => {
    // A thread that has its CPUs already may need another pin in libvirt.
    const had = thread.expectation?.source === 'libvirt' ? thread.expectation.cpus : thread.allowed;
    return [had, thread.allowed].some(
      (each) => formatCpuList(facts.mask(each).online) !== formatCpuList(cpus),
    );
  };
  const waiting = [...moves.values()].filter(isNew);
  const sorted: Move[] = [];
  while (waiting.length > 0) {
    const pending = new Set(waiting.map(({ holder }) => holder.thread));
    const isClear = ({ holder, cpus }: Move): boolean =>
      cpus.length > 1 ||
      host.holders.at(cpus[0] ?? -1).every(({ thread }) => thread === holder.thread || !pending.has(thread));
    const next = Math.max(0, waiting.findIndex(isClear));
    sorted.push(...waiting.splice(next, 1));
  }
  return sorted;
}

/**
 * The undo returns the memory to the node that had most of it. Memory that came from several nodes cannot be
 * divided again, and a cgroup may have closed its node since.
 */
function memoryStep({ memoryMove, vm }: Draft): PlanStep[] {
  if (memoryMove === undefined) return [];
  const { to } = memoryMove;
  const from = memoryMove.from.join(',');
  const isOpen = memoryMove.from.every((node) => vm.mems?.includes(node) !== false);
  const canReturn = memoryMove.from.length === 1 && isOpen;
  return [
    {
      what: 'memory',
      command: `migratepages ${vm.pid} ${from} ${to}`,
      undo: canReturn ? `migratepages ${vm.pid} ${to} ${from}` : undefined,
      vm: vm.vm,
      threads: [],
    },
  ];
}

/** Without it, the old baseline would make the new pin a drift; after the undo, the new one. */
function acceptStep({ vm, moves, facts }: Draft): PlanStep[] {
  const accepted = [...moves.values()].flatMap(({ holder, cpus }) => {
    const { thread } = holder;
    const { expectation } = thread;
    if (holder.vm !== vm || isPinnedByLibvirt(vm, thread) || expectation === undefined) return [];
    if (expectation.source === 'config' || expectation.source === 'libvirt') return [];
    const expected = facts.mask(expectation.cpus);
    const list = formatCpuList(cpus);
    const isLearned = expectation.source === 'baseline';
    // The baseline stays if the mask lacks only CPUs that are offline or outside the VM's cgroup.
    const kept = expected.online.filter((cpu) => vm.cpuset?.includes(cpu) !== false);
    if (isLearned && list === formatCpuList(kept)) return [];
    return [{ label: thread.label, after: list, before: isLearned ? expected.text : ANY }];
  });
  if (accepted.length === 0) return [];
  const command = (of: (each: (typeof accepted)[number]) => string): string => {
    const threads = accepted.map((each) => shellWord(`${each.label}=${of(each)}`));
    return ['kvm-telemetry accept', nameOf(vm), ...threads].join(' ');
  };
  return [
    {
      what: 'accept',
      command: command(({ after }) => after),
      undo: command(({ before }) => before),
      vm: vm.vm,
      threads: accepted.map(({ label }) => label),
    },
  ];
}

function nameOf(vm: ObservedVm): string {
  if (vm.domain !== '') return argumentFor(vm);
  return [vm.vm, vm.uuid].find((name) => /^[A-Za-z0-9_][A-Za-z0-9_.+~-]*$/.test(name)) ?? String(vm.pid);
}
