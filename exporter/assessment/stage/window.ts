import { MSEC_PER_SEC } from '../../../kernel/units.ts';
import type { KickCount } from '../../model/vm-trace.ts';
import type { Evidence } from './evidence.ts';

/** Growth over the window. All counts cover the same period. */
export interface Growth {
  readonly seconds: number;
  /** How many events one of the sample stood for, at most. */
  readonly weight: number;
  /** I/Os of the disks, else requests of the block devices under them. */
  readonly ios: number | undefined;
  readonly kicks: number | undefined;
  readonly deviceExits: number | undefined;
  readonly interrupts: number | undefined;
  /** By notify address and vCPU thread. */
  readonly queues: readonly KickCount[];
}

const WINDOW_MS = 60_000;

/** I/Os of the disks, else requests of the block devices under them. */
const DENOMINATORS: readonly ((moment: Evidence) => number | undefined)[] = [
  ({ ios }) => ios,
  ({ trace }) =>
    trace?.blockRequests && [...trace.blockRequests.values()].reduce((sum, count) => sum + count, 0),
];

/** The evidence of one VM in the last minute. */
export class Window {
  #kept: Evidence[] = [];

  /** @returns the growth over about a minute; undefined if there is no earlier evidence */
  add(now: Evidence): Growth | undefined {
    // Evidence without counts is not comparable: perf has not reported yet, or the set is disabled.
    if (now.trace === undefined) return undefined;
    const last = this.#kept.at(-1);
    // The VM was reset, or a disk was unplugged: earlier counts are not comparable.
    if (last?.ios !== undefined && now.ios !== undefined && now.ios < last.ios) this.#kept = [];
    this.#kept.push(now);
    const old = this.#kept.filter(({ at }) => now.at - at >= WINDOW_MS);
    // Keep one that is at least a window old.
    this.#kept = this.#kept.slice(Math.max(0, old.length - 1));
    const earlier = this.#kept.slice(0, -1);
    // Use the same denominator at both ends: disks count from the start of the VM, requests from the start of
    // the daemon.
    const comparable = DENOMINATORS.map((of) => ({
      of,
      first: earlier.find((each) => of(each) !== undefined),
    }));
    const chosen = comparable.find(({ of, first }) => first !== undefined && of(now) !== undefined);
    const first = chosen?.first ?? earlier[0];
    if (first === undefined) return undefined;
    const grownBy = (of: (moment: Evidence) => number | undefined): number | undefined =>
      grown(of(first), of(now));
    const before = new Map((first.trace?.kicks ?? []).map((kick) => [keyOf(kick), kick.count]));
    return {
      seconds: (now.at - first.at) / MSEC_PER_SEC,
      weight: Math.max(...this.#kept.map(({ weight = 1 }) => weight)),
      ios: chosen === undefined ? undefined : grownBy(chosen.of),
      kicks: grownBy(({ trace }) => trace?.kickTotal),
      deviceExits: grownBy(({ trace }) => trace?.deviceExits),
      interrupts: grownBy(({ trace }) => trace?.events.get('kvm_msi_set_irq')),
      queues: (now.trace.kicks ?? []).map((kick) => ({
        ...kick,
        count: Math.max(0, kick.count - (before.get(keyOf(kick)) ?? 0)),
      })),
    };
  }
}

/** undefined for a counter that fell: it was reset, and the count before the reset is unknown. */
function grown(before: number | undefined, now: number | undefined): number | undefined {
  return before === undefined || now === undefined || now < before ? undefined : now - before;
}

function keyOf({ event, address, thread }: KickCount): string {
  return `${event} ${address} ${thread}`;
}
