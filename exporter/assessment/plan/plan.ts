import type { Drift } from '../../model/drift.ts';
import type { Feature } from '../../model/features.ts';
import type { ObservedThread, ObservedVm } from '../../model/observed.ts';
import type { Draft } from './draft.ts';
import type { PlanHost } from './host.ts';
import { improved } from './improvement.ts';
import { type IoThread, pollingSteps } from './polling.ts';
import { type Left, repairOf } from './repair.ts';
import { type PlanStep, stepsOf } from './steps.ts';

/** The commands that repair a VM, in order. They come from one placement, so no two contradict. */
export interface Plan {
  readonly steps: readonly PlanStep[];
  /** The commands that take all steps back, in order. */
  readonly undo: readonly string[];
  /** What no command repairs. */
  readonly left: readonly Left[];
}

/** A plan, and what each part of it is for. */
export interface VmPlan extends Plan {
  readonly draft: Draft;
  /** The step that moves the thread. */
  stepOf(thread: ObservedThread): PlanStep | undefined;
}

/**
 * The plan of a VM. Improvements never change a repair, so that a drift has the same fix with and without
 * them.
 *
 * @param goals features to gain
 * @param ioThreads the VM's IOThreads, for polling
 */
export function planFor(
  host: PlanHost,
  vm: ObservedVm,
  goals: readonly Feature[] = [],
  ioThreads: readonly IoThread[] = [],
): VmPlan {
  const { draft: repair, left } = repairOf(host, vm);
  const draft = improved(repair, goals);
  const { steps: placing, byThread } = stepsOf(draft);
  const polls = goals.includes('iothread_polling') || goals.includes('sqpoll');
  const steps = [...placing, ...(polls ? pollingSteps(vm, ioThreads) : [])];
  return {
    draft,
    steps,
    undo: undoOf(steps),
    left,
    stepOf: (thread) => byThread.get(thread),
  };
}

/**
 * Backwards, but the expectations last: the daemon takes a mask that is narrower than expected as a new pin.
 */
function undoOf(steps: readonly PlanStep[]): string[] {
  const backwards = steps.toReversed();
  const isAccept = ({ what }: PlanStep): boolean => what === 'accept';
  return [...backwards.filter((step) => !isAccept(step)), ...backwards.filter(isAccept)].flatMap(
    ({ undo }) => undo ?? [],
  );
}

/** The command of the plan that fixes the drift; undefined if none does. */
export function fixOf(
  { draft, steps, stepOf }: VmPlan,
  { thread: label, kind, other }: Drift,
): string | undefined {
  const thread = draft.vm.threads.find((each) => each.label === label);
  const moved = [thread, other?.thread].map((each) => (each === undefined ? undefined : stepOf(each)));
  const pin = moved.find((step) => step !== undefined);
  if (pin !== undefined) return pin.command;
  // A thread whose expected CPUs are not available, and that is well placed, needs another expectation.
  const what = kind === 'cross_node' ? 'memory' : 'accept';
  const rest = steps.find(
    (step) => step.what === what && (what === 'memory' || step.threads.includes(label)),
  );
  return rest?.command;
}
