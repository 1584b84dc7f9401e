import { TECHNIQUES, type Technique, type TechniqueState } from '../exporter/metrics/techniques.ts';
import type { BlkProgram } from '../testing/blk-program.ts';

export type Act =
  | 'pin'
  | 'unpin'
  | 'unpin vCPU'
  | 'polling off'
  | 'polling on'
  | 'stop'
  | 'cont'
  | 'reset'
  | 'queues';

/** A change at a part of the time, and the states from then on; without states they stay. */
interface Step {
  readonly at: number;
  readonly act: Act;
  readonly is?: States;
}

export type States = Readonly<Record<Technique, TechniqueState>>;

export interface Situation {
  readonly what: string;
  /** Undefined if the guest halts for ever. */
  readonly program: BlkProgram | undefined;
  readonly pollMaxNs: number;
  readonly isPinned?: boolean;
  readonly phase?: string;
  readonly is: States;
  readonly steps?: readonly Step[];
}

/** A second: other load does not send the poller to sleep. */
export const POLLS = 1_000_000_000;
/** QEMU's default. */
const DEFAULT_NS = 32_768;
const BATCHES_PER_TICK = 3;
/** More than a thousand I/Os per second: below it, many kicks prove nothing. */
const MANY_PER_TICK = 16;

function states(...all: readonly [TechniqueState, TechniqueState, TechniqueState, TechniqueState]): States {
  return Object.fromEntries(TECHNIQUES.map((technique, i) => [technique, all[i]])) as Record<
    Technique,
    TechniqueState
  >;
}

function kicking(iosPerKick: number, batchesPerTick = BATCHES_PER_TICK): BlkProgram {
  return { iosPerKick, honoursNoNotify: false, batchesPerTick };
}

function polled(iosPerKick: number): BlkProgram {
  return { ...kicking(iosPerKick), honoursNoNotify: true };
}

/** Idle from each odd sixth of the time to the next even one. */
const BUSY_AND_IDLE: readonly Step[] = [1, 2, 3, 4, 5].map((i) => ({
  at: i / 6,
  act: i % 2 === 1 ? 'stop' : 'cont',
}));

/** On two CPUs only one VM at a time can have CPUs of its own. */
export const SITUATIONS: Readonly<Record<string, Situation>> = {
  original: {
    what: 'one kick per I/O, not pinned; in the last sixth pinned to the CPUs of another VM',
    program: kicking(1, MANY_PER_TICK),
    pollMaxNs: 0,
    is: states('off', 'off', 'off', 'off'),
    steps: [{ at: 5 / 6, act: 'pin', is: states('partly', 'off', 'off', 'off') }],
  },
  declared: {
    what: 'one kick per I/O, not pinned, declared as `pinned queues`',
    program: kicking(1, MANY_PER_TICK),
    pollMaxNs: 0,
    phase: 'pinned queues',
    is: states('off', 'off', 'off', 'off'),
  },
  'batch-16': {
    what: '16 I/Os per kick, not pinned, busy and idle in turns',
    program: kicking(16),
    pollMaxNs: 0,
    is: states('off', 'off', 'in_force', 'off'),
    steps: BUSY_AND_IDLE,
  },
  'lost-pin': {
    what: '4 I/Os per kick, pinned; the vCPU loses its pin, has it again, both threads lose theirs, after a sixth each',
    program: kicking(4),
    pollMaxNs: 0,
    isPinned: true,
    is: states('in_force', 'off', 'in_force', 'off'),
    steps: [
      { at: 1 / 6, act: 'unpin vCPU', is: states('lost', 'off', 'in_force', 'off') },
      { at: 2 / 6, act: 'pin', is: states('in_force', 'off', 'in_force', 'off') },
      { at: 3 / 6, act: 'unpin', is: states('lost', 'off', 'in_force', 'off') },
    ],
  },
  'poll-reset': {
    what: 'polling, 16 I/Os per batch, rebooted twice; pinned after half, in the last sixth another VM has its CPUs too',
    program: polled(16),
    pollMaxNs: POLLS,
    is: states('off', 'in_force', 'off', 'off'),
    steps: [
      { at: 1 / 4, act: 'reset' },
      { at: 3 / 6, act: 'pin', is: states('in_force', 'in_force', 'off', 'off') },
      { at: 4 / 6, act: 'reset' },
      // Time at which `original` is pinned.
      { at: 5 / 6, act: 'cont', is: states('lost', 'in_force', 'off', 'off') },
    ],
  },
  'poll-idle': {
    what: 'polling, 4 I/Os per batch, not pinned, busy and idle in turns',
    program: polled(4),
    pollMaxNs: POLLS,
    is: states('off', 'in_force', 'off', 'off'),
    steps: BUSY_AND_IDLE,
  },
  'poll-off': {
    what: 'polling, 4 I/Os per batch; after a third `poll-max-ns` is 0, after two it is back',
    program: polled(4),
    pollMaxNs: POLLS,
    is: states('off', 'in_force', 'off', 'off'),
    steps: [
      { at: 1 / 3, act: 'polling off', is: states('off', 'lost', 'in_force', 'off') },
      { at: 2 / 3, act: 'polling on', is: states('off', 'in_force', 'off', 'off') },
    ],
  },
  'kick-polled': {
    what: 'a poller, but one kick per I/O, busy and idle in turns',
    program: kicking(1, MANY_PER_TICK),
    pollMaxNs: POLLS,
    is: states('off', 'off', 'off', 'off'),
    steps: BUSY_AND_IDLE,
  },
  slow: {
    what: "QEMU's default poller, 100 I/Os per second: the poller sleeps",
    program: { ...polled(1), batchesPerTick: 1 },
    pollMaxNs: DEFAULT_NS,
    is: states('off', 'unknown', 'off', 'off'),
  },
  'queues-own': {
    what: 'two vCPUs, each with its own queue, 4 I/Os per kick; after a third both use the first, after two their own again',
    program: { ...kicking(4), queues: 'own' },
    pollMaxNs: 0,
    is: states('off', 'off', 'in_force', 'in_force'),
    steps: [
      { at: 1 / 3, act: 'queues', is: states('off', 'off', 'in_force', 'lost') },
      { at: 2 / 3, act: 'queues', is: states('off', 'off', 'in_force', 'in_force') },
    ],
  },
  'queues-first': {
    what: 'both vCPUs use the first of two queues; after half each its own, after three quarters a reboot, and the first again',
    program: { ...kicking(4), queues: 'first' },
    pollMaxNs: 0,
    is: states('off', 'off', 'in_force', 'off'),
    steps: [
      { at: 1 / 2, act: 'queues', is: states('off', 'off', 'in_force', 'in_force') },
      { at: 3 / 4, act: 'reset', is: states('off', 'off', 'in_force', 'lost') },
    ],
  },
  'queues-turns': {
    what: 'each of two vCPUs uses both queues in turns, busy and idle in turns',
    program: { ...kicking(4), queues: 'in turns' },
    pollMaxNs: 0,
    is: states('off', 'off', 'in_force', 'off'),
    steps: BUSY_AND_IDLE,
  },
  idle: {
    what: 'no I/O since the start, no poller',
    program: undefined,
    pollMaxNs: 0,
    is: states('off', 'off', 'unknown', 'off'),
  },
  'idle-polled': {
    what: "no I/O since the start, QEMU's default poller",
    program: undefined,
    pollMaxNs: DEFAULT_NS,
    is: states('off', 'unknown', 'off', 'off'),
  },
};

/** The states after that part of the time, and when they began. */
export function expectedAt({ is, steps = [] }: Situation, part: number): { states: States; since: number } {
  let now = { states: is, since: 0 };
  for (const step of steps)
    if (step.at <= part && step.is !== undefined) now = { states: step.is, since: step.at };
  return now;
}
