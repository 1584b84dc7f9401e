import type { Drift } from '../../model/drift.ts';
import type { Feature } from '../../model/features.ts';
import type { Draft } from './draft.ts';
import { improved } from './improvement.ts';
import { type IoThread, pollingSteps } from './polling.ts';
import type { Left, Repair } from './repair.ts';
import { nameOfThread, type PlanStep, stepsOf } from './steps.ts';

/** The commands that repair a VM, in order. They come from one placement, so no two contradict. */
export interface Plan {
  readonly steps: readonly PlanStep[];
  /** The commands that take all steps back, in order. */
  readonly undo: readonly string[];
  /** Drifts that no command repairs. */
  readonly left: readonly Left[];
}

/** A plan, and the purpose of each part. */
export interface VmPlan extends Plan {
  readonly draft: Draft;
  /** The step that moves a thread, by the labels of VM and thread. */
  stepOf(vm: string, label: string): PlanStep | undefined;
}

/**
 * A repair with improvements, which never change the repair: a drift has the same fix with and without them.
 *
 * @param goals features to gain
 * @param ioThreads the VM's IOThreads, for polling
 */
export function improvementOf(
  repair: Repair,
  goals: readonly Feature[],
  ioThreads: readonly IoThread[],
): VmPlan {
  const draft = improved(repair.draft, goals);
  const polls = goals.includes('iothread_polling') || goals.includes('sqpoll');
  return planOf(repair, draft, polls ? pollingSteps(draft.vm, ioThreads) : []);
}

/**
 * The commands of a placement.
 *
 * @param polling steps that follow
 */
export function planOf({ left }: Repair, draft: Draft, polling: readonly PlanStep[]): VmPlan {
  const { steps: placing, byThread } = stepsOf(draft);
  const steps = [...placing, ...polling];
  const stepOf = (vm: string, label: string): PlanStep | undefined => byThread.get(nameOfThread(vm, label));
  return { draft, steps, left, undo: undoOf(steps), stepOf };
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
  { steps, stepOf }: VmPlan,
  { vm, thread: label, kind, other }: Drift,
): string | undefined {
  const pin = stepOf(vm, label) ?? (other && stepOf(other.vm.vm, other.thread.label));
  if (pin !== undefined) return pin.command;
  // If the expected CPUs are not available and the thread is well placed, only its expectation must change.
  const what = kind === 'cross_node' ? 'memory' : 'accept';
  const rest = steps.find(
    (step) => step.what === what && (what === 'memory' || step.threads.includes(label)),
  );
  return rest?.command;
}
