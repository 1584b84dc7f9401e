import { STAGES, type Stage } from './stages.ts';

/**
 * The four techniques of the paper: values of the label `technique`. Each has the name of the stage that adds
 * it: pinning, exitless polling, parallel batching, queue pinning.
 */
export type Technique = Exclude<Stage, 'original'>;

export const TECHNIQUES: readonly Technique[] = STAGES.flatMap((stage) =>
  stage === 'original' ? [] : stage,
);

/** Values of the label `state`: docs/verdicts.md. */
export const TECHNIQUE_STATES = ['in_force', 'partly', 'lost', 'off', 'unknown'] as const;

export type TechniqueState = (typeof TECHNIQUE_STATES)[number];

/** Numbers that prove a state: values of the label `evidence`. */
export const EVIDENCE = [
  'pinned_threads',
  'kicks_per_io',
  'interrupts_per_io',
  'ios_per_kick',
  'used_queues',
  'queue_locality',
] as const;

export type EvidenceName = (typeof EVIDENCE)[number];
