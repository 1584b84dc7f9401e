import { isSharedByQueues } from '../../model/io-path.ts';
import type { Evidence, UnknownReason } from '../../model/technique.ts';
import { hiderOf } from '../../model/visibility.ts';
import type { KickCount } from '../../model/vm-trace.ts';
import { type Growth, MIN_WINDOWS } from '../stage/window.ts';
import { type DeviceFacts, diskEventsOf } from './disk-kicks.ts';
import { type Estimate, ratioOf } from './estimate.ts';

/** With fewer I/Os the ratios mean nothing. If events are sampled, the sample must have this many. */
export const MIN_IOS = 100;
/** I/Os per second below which any poller may sleep (paper, 6.1.1) and a guest has little to batch. */
export const BUSY = 1000;
/** Requests of block devices are merged, split and cached: they may be half as many as the guest's, or twice. */
const UNCERTAIN = 2;

/** Measurements of the I/O path in one period. */
export interface Measured {
  /** Whether there are enough I/Os a second for a measurement to count against a technique. */
  readonly isBusy: boolean;
  /** Whether the I/Os are too few to keep the VM's poller awake. The poller may still be awake. */
  readonly mayPollerSleep: boolean;
  /** Whether the VM worked at this rate all the time. Otherwise the rate is a mean of work and pauses. */
  readonly isSteady: boolean;
  /** Events that one sampled event stands for. */
  readonly weight: number;
  readonly kicksPerIo: Estimate;
  /** undefined if they are not counted. */
  readonly interruptsPerIo: Estimate | undefined;
  /** Whether some of the interrupts may belong to other devices. */
  readonly areInterruptsMixed: boolean;
  /** The reason why few kicks prove nothing. */
  readonly hidden: UnknownReason | undefined;
  /** Whether some of the kicks may belong to other devices. */
  readonly areMixed: boolean;
  /** Kicks by virtqueue, only of queues with an address of their own; undefined if not counted. */
  readonly queues: readonly KickCount[] | undefined;
  /** The reason why `queues` is undefined. */
  readonly withoutQueues: UnknownReason;
  readonly base: Pick<Evidence, 'seconds' | 'ios'>;
}

export interface Observable extends DeviceFacts {
  readonly isTraced: boolean;
  /** As in Pollers. */
  readonly awakeFrom: number;
}

/** @returns why nothing could be measured, else the measurement */
export function measure(growth: Growth | undefined, of: Observable): Measured | UnknownReason {
  const ioHider = hiderOf(of.visibility, 'io');
  if (ioHider !== undefined) return ioHider;
  if (!of.isTraced) return 'no_trace';
  if (growth === undefined) return 'idle';
  const { ios, kicks: counted, seconds, weight, windows = MIN_WINDOWS, deviceExits = 0 } = growth;
  if (counted === undefined) return 'no_trace';
  if (ios === undefined) return 'io_not_visible';
  if (ios < MIN_IOS * weight) return 'idle';
  if (windows < MIN_WINDOWS) return 'few_windows';
  const { kicks, queues, interrupts } = diskEventsOf(growth, of);
  if (kicks === undefined) return 'no_trace';
  const precision = { skew: growth.skew, weight, factor: growth.isEstimate ? UNCERTAIN : 1 };
  const own = queues.filter((kick) => !isSharedByQueues(kick));
  return {
    isBusy: ios / seconds >= BUSY,
    mayPollerSleep: ios / seconds < of.awakeFrom,
    isSteady: growth.isSteady,
    weight,
    kicksPerIo: ratioOf(kicks, ios, precision),
    interruptsPerIo: interrupts === undefined ? undefined : ratioOf(interrupts, ios, precision),
    areInterruptsMixed: interrupts !== undefined && interrupts.least < interrupts.most,
    hidden: hiderOf(of.visibility, 'kicks') ?? unlessInUserSpace(kicks.most, deviceExits, ios),
    areMixed: kicks.least < kicks.most,
    queues: own.length > 0 ? own : undefined,
    withoutQueues: !growth.hasQueues
      ? 'queues_not_counted'
      : queues.length > 0
        ? 'shared_address'
        : 'other_devices',
    base: { seconds, ios },
  };
}

/** At this many exits to user space per I/O, notifications may be among them. */
const MANY = 0.5;

function unlessInUserSpace(kicks: number, deviceExits: number, ios: number): UnknownReason | undefined {
  return kicks / ios < MANY && (kicks + deviceExits) / ios >= MANY ? 'user_space_exits' : undefined;
}
