import { STAGES, type Stage } from '../metrics/stages.ts';
import { TECHNIQUES, type Technique, type TechniqueState } from '../metrics/techniques.ts';
import type { Feature } from './features.ts';
import type { Verdicts } from './technique.ts';

export interface StageRule {
  readonly stage: Technique;
  /** Section of the paper. */
  readonly section: string;
  readonly all: readonly Feature[];
  /** At least one of these, unless the list is empty. */
  readonly any: readonly Feature[];
  /** None of these is known to be off. */
  readonly unless: readonly Feature[];
}

/** The configuration that each stage needs. exporter/assessment/technique measures whether the stage is in force. */
const RULES: Readonly<Record<Technique, Omit<StageRule, 'stage'>>> = {
  affinity: {
    section: '4.1.2',
    all: ['vcpus_pinned', 'io_threads_pinned', 'io_separate_from_vcpus'],
    any: [],
    unless: ['numa_local'],
  },
  exitless_polling: { section: '4.1', all: [], any: ['iothread_polling', 'sqpoll'], unless: [] },
  parallel_batching: {
    section: '4.1.1',
    all: ['multiqueue'],
    any: ['dedicated_iothreads', 'iothread_vq_mapping'],
    unless: [],
  },
  pinned_queues: { section: '5', all: ['queue_per_vcpu'], any: [], unless: [] },
};

/** The rules of the stages after the original one, in order. */
export const STAGE_RULES: readonly StageRule[] = TECHNIQUES.map((stage) => ({ stage, ...RULES[stage] }));

export type States = Readonly<Record<Technique, TechniqueState>>;

export function statesOf(verdicts: Verdicts): States {
  return Object.fromEntries(TECHNIQUES.map((technique) => [technique, verdicts[technique].state])) as States;
}

/**
 * The stage of the paper that has exactly these techniques in force.
 *
 * @returns undefined if no stage has them, or if one of them is unknown
 */
export function stageOf(states: States): Stage | undefined {
  if (TECHNIQUES.some((technique) => states[technique] === 'unknown' || states[technique] === 'partly'))
    return undefined;
  const inForce = TECHNIQUES.filter((technique) => states[technique] === 'in_force');
  const isLadder = inForce.every((technique, i) => technique === TECHNIQUES[i]);
  return isLadder ? STAGES[inForce.length] : undefined;
}

/** The techniques that a stage of the paper includes. */
export function techniquesOf(stage: Stage): readonly Technique[] {
  return TECHNIQUES.slice(0, STAGES.indexOf(stage));
}

const WORDS: Readonly<Record<Technique, string>> = {
  affinity: 'affinity',
  exitless_polling: 'polling',
  parallel_batching: 'batching',
  pinned_queues: 'queue pinning',
};

export function wordFor(technique: Technique): string {
  return WORDS[technique];
}

/** The techniques in force, in words: `polling, batching; affinity lost`. */
export function inWords(states: States): string {
  const named = (state: TechniqueState): string =>
    TECHNIQUES.filter((technique) => states[technique] === state)
      .map(wordFor)
      .join(', ');
  const parts = (['partly', 'lost', 'unknown'] as const)
    .map((state) => [named(state), state] as const)
    .filter(([names]) => names !== '')
    .map(([names, state]) => `${names} ${state}`);
  return [named('in_force') || 'nothing in force', ...parts].join('; ');
}

/** Values of the label `stage`: the stage, else the techniques in force; undefined while one is unknown. */
export function stageLabel(states: States): string | undefined {
  const stage = stageOf(states);
  if (stage !== undefined || TECHNIQUES.some((technique) => states[technique] === 'unknown')) return stage;
  return TECHNIQUES.flatMap((technique) => {
    const state = states[technique];
    return state === 'in_force'
      ? wordFor(technique)
      : state === 'partly'
        ? `${wordFor(technique)} partly`
        : [];
  }).join(', ');
}
