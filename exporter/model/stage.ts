import { STAGES, type Stage } from '../metrics/stages.ts';
import type { Feature } from './features.ts';

/** The last measurements of the tracepoints; undefined if not measured. */
export interface Measured {
  readonly kicksPerIo?: number | undefined;
  readonly injectionsPerIo?: number | undefined;
  /** The share of a queue's kicks that come from one vCPU. */
  readonly queueLocality?: number | undefined;
  readonly iosPerKick?: number | undefined;
}

export interface StageRule {
  readonly stage: Stage;
  /** Section of the paper. */
  readonly section: string;
  readonly all: readonly Feature[];
  /** At least one of these, unless the list is empty. */
  readonly any: readonly Feature[];
  /** None of these may be known to be off. */
  readonly unless: readonly Feature[];
  /** Whether the measurements are consistent with the stage. */
  readonly isInForce: (measured: Measured) => boolean;
}

/** The original stage costs about one exit of each kind per I/O. Below half of that, most I/Os cost none. */
const FEW_EXITS_PER_IO = 0.5;
export const areFew = (exitsPerIo: number): boolean => exitsPerIo < FEW_EXITS_PER_IO;
const BATCH = 2;
/**
 * Round robin over n queues gives 1/n. Pinned queues stay a little below 1, as the guest's threads migrate.
 */
const LOCAL = 0.8;

const RULES: Readonly<Record<Exclude<Stage, 'original'>, Omit<StageRule, 'stage'>>> = {
  affinity: {
    section: '4.1.2',
    all: ['vcpus_pinned', 'io_threads_pinned', 'io_separate_from_vcpus'],
    any: [],
    unless: ['numa_local'],
    isInForce: () => true,
  },
  exitless_polling: {
    section: '4.1',
    all: [],
    any: ['iothread_polling', 'sqpoll'],
    unless: [],
    isInForce: ({ kicksPerIo, injectionsPerIo }) =>
      [kicksPerIo, injectionsPerIo].every((exits) => exits === undefined || areFew(exits)),
  },
  parallel_batching: {
    section: '4.1.1',
    all: ['multiqueue'],
    any: ['dedicated_iothreads', 'iothread_vq_mapping'],
    unless: [],
    isInForce: ({ iosPerKick }) => iosPerKick === undefined || iosPerKick >= BATCH,
  },
  pinned_queues: {
    section: '5',
    all: ['queue_per_vcpu'],
    any: [],
    unless: [],
    isInForce: ({ queueLocality }) => queueLocality === undefined || queueLocality >= LOCAL,
  },
};

/** The rules of the stages after the original one, in order. */
export const STAGE_RULES: readonly StageRule[] = STAGES.flatMap((stage) =>
  stage === 'original' ? [] : { stage, ...RULES[stage] },
);

/** The highest stage whose rule holds together with the rules of all stages below it. */
export function stageOf(features: ReadonlyMap<Feature, number>, measured: Measured = {}): Stage {
  let stage: Stage = 'original';
  for (const rule of STAGE_RULES) {
    const isOn = (feature: Feature): boolean => features.get(feature) === 1;
    const holds =
      rule.all.every(isOn) &&
      (rule.any.length === 0 || rule.any.some(isOn)) &&
      rule.unless.every((feature) => features.get(feature) !== 0) &&
      rule.isInForce(measured);
    if (!holds) return stage;
    stage = rule.stage;
  }
  return stage;
}
