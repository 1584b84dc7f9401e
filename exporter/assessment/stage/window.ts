import { MSEC_PER_SEC } from '../../../kernel/units.ts';
import type { KickCount } from '../../model/vm-trace.ts';
import type { Moment } from './moment.ts';

/** Growth between two moments. All counts cover the same period. */
export interface Growth {
  readonly seconds: number;
  /** Events that one sampled event stands for, at most. */
  readonly weight: number;
  /** Windows in which events counted; undefined if they counted all the time. */
  readonly windows: number | undefined;
  /** Requests of the disks, else of the block devices under them. */
  readonly ios: number | undefined;
  /** Whether `ios` are requests of the host's block devices, which merges and caches make differ. */
  readonly isEstimate: boolean;
  readonly kicks: number | undefined;
  readonly deviceExits: number | undefined;
  readonly interrupts: number | undefined;
  /** By notify address and vCPU thread. */
  readonly queues: readonly KickCount[];
  /** Whether kicks are counted by address. */
  readonly hasQueues: boolean;
  /**
   * Relative error from counts that were read at different times, or from windows that differ from the rest of the
   * time.
   */
  readonly skew: number;
  /** Whether the I/Os per second hardly changed in the last minute, so that their mean is the rate of the VM. */
  readonly isSteady: boolean;
}

const WINDOW_MS = 60_000;
/** With fewer windows, their events say little about the rest of the time. */
export const MIN_WINDOWS = 8;
/** In a steady minute, the rate of the fastest part is at most this multiple of the slowest part's. */
const STEADY = 1.5;

type Count = (moment: Moment) => number | undefined;

const diskIos: Count = ({ ios }) => ios;
const blockRequests: Count = ({ trace }) =>
  trace?.blockRequests && [...trace.blockRequests.values()].reduce((sum, count) => sum + count, 0);
const DENOMINATORS: readonly Count[] = [diskIos, blockRequests];

/** The counts of one VM in the last minute. */
export class Window {
  #kept: Moment[] = [];

  /** @returns the growth over about a minute; undefined if there is no earlier moment */
  add(now: Moment): Growth | undefined {
    // A moment without counts is not comparable: perf has not reported yet, or the set is disabled.
    if (now.trace === undefined) return undefined;
    const last = this.#kept.at(-1);
    // The VM was reset, or a disk was unplugged: earlier counts are not comparable.
    if (last?.ios !== undefined && now.ios !== undefined && now.ios < last.ios) this.#kept = [];
    this.#kept.push(now);
    const old = this.#kept.filter(({ at }) => now.at - at >= WINDOW_MS);
    // Keep one that is at least a window old.
    this.#kept = this.#kept.slice(Math.max(0, old.length - 1));
    return this.#since(this.#kept.slice(0, -1));
  }

  /** Forgets all but the last moment: what was counted before belongs to another configuration. */
  cut(): void {
    this.#kept = this.#kept.slice(-1);
  }

  /** @returns the growth over the shortest period with that many I/Os, else over about a minute */
  latest(leastIos: number): Growth | undefined {
    const earlier = this.#kept.slice(0, -1);
    for (let i = earlier.length - 1; i >= 0; i--) {
      const growth = this.#since(earlier.slice(i));
      if (growth !== undefined && isEnough(growth, leastIos)) return growth;
    }
    return this.#since(earlier);
  }

  /**
   * Uses the same denominator at both ends: disks count from the start of the VM, requests from the start of
   * the daemon.
   */
  #since(earlier: readonly Moment[]): Growth | undefined {
    const now = this.#kept.at(-1);
    if (now === undefined) return undefined;
    const comparable = DENOMINATORS.map((of) => ({
      of,
      first: earlier.find((each) => of(each) !== undefined),
    }));
    const chosen = comparable.find(({ of, first }) => first !== undefined && of(now) !== undefined);
    const first = chosen?.first ?? earlier[0];
    if (first === undefined) return undefined;
    const weight = Math.max(...this.#kept.map((moment) => moment.weight ?? 1));
    const growth = growthBetween(first, now, weight, chosen?.of);
    const windows = this.#windowsIn(growth.seconds);
    // Two standard errors of the mean, if each window differs from the mean by half on average.
    const spread = windows === undefined ? 0 : 1 / Math.sqrt(windows);
    return { ...growth, windows, skew: growth.skew + spread, isSteady: this.#isSteady(chosen?.of) };
  }

  #windowsIn(seconds: number): number | undefined {
    const longest = Math.max(0, ...this.#kept.map((moment) => moment.windowEvery ?? 0));
    return longest === 0 ? undefined : seconds / longest;
  }

  #isSteady(ios: Count | undefined): boolean {
    const [first, ...rest] = this.#kept;
    const last = rest.at(-1);
    if (ios === undefined || first === undefined || last === undefined || last.at - first.at < WINDOW_MS)
      return false;
    const rates = rest.map((now, i) => rateBetween(this.#kept[i] ?? first, now, ios));
    const least = Math.min(...rates);
    return least > 0 && Math.max(...rates) <= STEADY * least;
  }
}

function isEnough({ ios, weight, windows = MIN_WINDOWS }: Growth, leastIos: number): boolean {
  return ios !== undefined && ios >= leastIos * weight && windows >= MIN_WINDOWS;
}

/** I/Os a millisecond; NaN if unknown. */
function rateBetween(first: Moment, now: Moment, ios: Count): number {
  return (grown(ios(first), ios(now)) ?? Number.NaN) / (now.at - first.at);
}

function growthBetween(
  first: Moment,
  now: Moment,
  weight: number,
  ios: Count | undefined,
): Omit<Growth, 'isSteady' | 'windows'> {
  const grownBy = (of: Count): number | undefined => grown(of(first), of(now));
  const before = new Map((first.trace?.kicks ?? []).map((kick) => [keyOf(kick), kick.count]));
  const milliseconds = now.at - first.at;
  return {
    seconds: milliseconds / MSEC_PER_SEC,
    weight,
    ios: ios === undefined ? undefined : grownBy(ios),
    isEstimate: ios === blockRequests,
    kicks: grownBy(({ trace }) => trace?.kickTotal),
    deviceExits: grownBy(({ trace }) => trace?.deviceExits),
    interrupts: grownBy(({ trace }) => trace?.events.get('kvm_msi_set_irq')),
    queues: (now.trace?.kicks ?? []).map((kick) => ({
      ...kick,
      count: Math.max(0, kick.count - (before.get(keyOf(kick)) ?? 0)),
    })),
    hasQueues: first.trace?.kicks !== undefined && now.trace?.kicks !== undefined,
    skew: milliseconds > 0 ? (first.skewMs + now.skewMs) / milliseconds : 0,
  };
}

/** undefined for a counter that fell: it was reset, and the count before the reset is unknown. */
function grown(before: number | undefined, now: number | undefined): number | undefined {
  return before === undefined || now === undefined || now < before ? undefined : now - before;
}

function keyOf({ event, address, thread }: KickCount): string {
  return `${event} ${address} ${thread}`;
}
