import { type EvidenceName, TECHNIQUES, type Technique, type TechniqueState } from '../metrics/techniques.ts';
import type { Hider } from '../metrics/visibility.ts';
import { HIDER_WORDS } from './visibility-in-words.ts';

/** One number of a verdict, with its threshold and its basis. */
export interface Evidence {
  readonly name: EvidenceName;
  readonly value: number;
  readonly threshold: number;
  /** The side of the threshold on which the technique is in force. */
  readonly wants: 'below' | 'at_least';
  /** Error of the value; 0 for a value that is read, not counted. */
  readonly error: number;
  /** Time over which it was counted; undefined for a value of one moment. */
  readonly seconds: number | undefined;
  /** I/Os in that time. */
  readonly ios: number | undefined;
}

const OWN_REASONS = {
  starting: 'the VM was just found',
  idle: 'too few I/Os to measure',
  little_io: 'too few I/Os a second: a poller may sleep, and there is little to batch',
  near_threshold: 'the measurement is too close to its threshold',
  few_windows:
    'to keep to trace.budget, events count in windows, and there were too few of them: raise trace.budget',
  no_trace: 'trace events are not counted',
  io_not_visible: 'the host cannot count the I/Os of this VM: give it a QMP monitor',
  user_space_exits: 'notifications may be among the exits to user space: ioeventfd is off',
  other_devices: 'the kicks of its other virtio devices cannot be separated: give it a QMP monitor',
  poller_unknown: 'few kicks, but whether a thread on the host polls is unknown',
  queues_unknown: 'the number of queues and their threads is unknown',
  queues_not_counted: 'kicks are not counted by virtqueue',
  shared_address: 'all queues of the disk share one notify address',
  one_vcpu: 'only one vCPU does I/O',
  threads_unknown: 'the threads of the VM cannot be identified',
  cgroup_hidden: 'the cgroup of the VM is hidden: which CPUs it would have unpinned is unknown',
} as const;

/** Reasons why a technique is unknown. Others are the reasons that hide a VM's I/O. */
export const UNKNOWN_REASONS: Readonly<Record<UnknownReason, string>> = { ...OWN_REASONS, ...HIDER_WORDS };

export type UnknownReason = keyof typeof OWN_REASONS | Hider;

/** The judgement on one technique from the facts of one moment. `unknown` changes no state. */
export interface Judgement {
  readonly state: Exclude<TechniqueState, 'lost'>;
  /** The reason why the state is unknown. */
  readonly reason?: UnknownReason;
  /** The exact state is unknown, but the technique is certainly not in force. */
  readonly isNotInForce?: boolean;
  /** Too little I/O to count against a technique that was in force only at higher rates. */
  readonly isWeak?: boolean;
  /**
   * Whether the VM worked at the rate of the evidence all the time, so that the techniques were in force at that
   * rate.
   */
  readonly isSteady?: boolean;
  /** The few kicks count for polling, so batching is not in force, but nothing was lost. */
  readonly isCredited?: boolean;
  /** Whether the configuration asks for the technique; undefined if unknown. */
  readonly configured: boolean | undefined;
  /** The configuration in words: `poll-max-ns of io0: 32768`. */
  readonly settings: readonly string[];
  /** The decisive number comes first. */
  readonly evidence: readonly Evidence[];
}

export interface TechniqueVerdict
  extends Omit<Judgement, 'state' | 'isNotInForce' | 'isWeak' | 'isSteady' | 'isCredited'> {
  readonly technique: Technique;
  readonly state: TechniqueState;
  /** Milliseconds of the epoch at which the state began. */
  readonly since: number;
  /** The number that decided when the technique was last in force. */
  readonly was: Evidence | undefined;
  /** Since when, and why, every judgement is unknown although the state holds; undefined: it was judged now. */
  readonly unjudged?: { readonly seconds: number | undefined; readonly reason: UnknownReason };
  /** Changes of the state since the VM started: `in_force lost` to their number. */
  readonly changes: ReadonlyMap<string, number>;
}

/** In the order of the paper. */
export type Verdicts = Readonly<Record<Technique, TechniqueVerdict>>;

export function verdictsOf(make: (technique: Technique) => TechniqueVerdict): Verdicts {
  return Object.fromEntries(TECHNIQUES.map((technique) => [technique, make(technique)])) as Record<
    Technique,
    TechniqueVerdict
  >;
}
