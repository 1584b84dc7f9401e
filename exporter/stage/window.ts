import type { KickCount } from '../model/vm-trace.ts';
import type { Evidence } from './evidence.ts';

/** Growth over the window. All counts are of the same two moments. */
export interface Growth {
  readonly seconds: number;
  /** Of the disks, else requests of the block devices that carry them. */
  readonly ios: number | undefined;
  readonly kicks: number | undefined;
  readonly deviceExits: number | undefined;
  readonly interrupts: number | undefined;
  /** By virtqueue's address and vCPU's thread. */
  readonly queues: readonly KickCount[];
}

const WINDOW_MS = 60_000;

/** I/Os of the disks, else requests of the block devices that carry them. */
const DENOMINATORS: readonly ((moment: Evidence) => number | undefined)[] = [
  ({ ios }) => ios,
  ({ trace }) =>
    trace?.blockRequests && [...trace.blockRequests.values()].reduce((sum, count) => sum + count, 0),
];

/** The last minute of one VM. */
export class Window {
  #kept: Evidence[] = [];

  /** @returns what has grown since about a minute ago; undefined where there is nothing to compare with */
  add(now: Evidence): Growth | undefined {
    // Without counts a moment compares with nothing: perf has not reported yet, or the set was left out.
    if (now.trace === undefined) return undefined;
    const last = this.#kept.at(-1);
    // A VM that was reset, or a disk that was unplugged: what was counted before is not comparable.
    if (last?.ios !== undefined && now.ios !== undefined && now.ios < last.ios) this.#kept = [];
    this.#kept.push(now);
    const old = this.#kept.filter(({ at }) => now.at - at >= WINDOW_MS);
    // One that is a whole window old is enough.
    this.#kept = this.#kept.slice(Math.max(0, old.length - 1));
    const earlier = this.#kept.slice(0, -1);
    // One denominator at both ends: disks count from the start of the VM, requests from that of the daemon.
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
      seconds: (now.at - first.at) / 1000,
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

/** A counter that fell was started again: what it had before is not known. */
function grown(before: number | undefined, now: number | undefined): number | undefined {
  return before === undefined || now === undefined || now < before ? undefined : now - before;
}

function keyOf({ event, address, thread }: KickCount): string {
  return `${event} ${address} ${thread}`;
}
