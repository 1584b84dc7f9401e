import type { KickCount, VmTrace } from '../model/vm-trace.ts';

/** What a VM had counted at one moment. */
export interface Snapshot {
  /** Milliseconds of a clock that never jumps. */
  readonly at: number;
  /** I/Os of its disks; undefined where nobody counts them. */
  readonly ios: number | undefined;
  /** Requests of the block devices that carry them; undefined likewise. */
  readonly requests: number | undefined;
  readonly kicks: number | undefined;
  readonly interrupts: number | undefined;
  /** By virtqueue's address and vCPU's thread. */
  readonly queues: readonly KickCount[];
}

/** Growth over the window. */
export interface Growth {
  readonly seconds: number;
  /** Of the disks, else requests of the block devices. */
  readonly ios: number | undefined;
  readonly kicks: number | undefined;
  readonly interrupts: number | undefined;
  readonly queues: readonly KickCount[];
}

const WINDOW_MS = 60_000;

export function snapshotOf(trace: VmTrace | undefined, ios: number | undefined, at: number): Snapshot {
  return {
    at,
    ios,
    requests: sumOf(trace?.blockRequests?.values()),
    kicks: trace?.kickTotal,
    interrupts: trace?.events.get('kvm_msi_set_irq'),
    queues: trace?.kicks ?? [],
  };
}

function sumOf(values: Iterable<number> | undefined): number | undefined {
  return values === undefined ? undefined : [...values].reduce((sum, value) => sum + value, 0);
}

/** The last minute of one VM. */
export class Window {
  #snapshots: Snapshot[] = [];

  /** @returns what has grown since about a minute ago; undefined for the first snapshot */
  add(now: Snapshot): Growth | undefined {
    this.#snapshots.push(now);
    const old = this.#snapshots.filter(({ at }) => now.at - at >= WINDOW_MS);
    // One that is a whole window old is enough.
    this.#snapshots = this.#snapshots.slice(Math.max(0, old.length - 1));
    const [first] = this.#snapshots;
    if (first === undefined || first === now) return undefined;
    const before = new Map(first.queues.map((kick) => [keyOf(kick), kick.count]));
    return {
      seconds: (now.at - first.at) / 1000,
      // Each against itself: the one counts from the start of the VM, the other from that of the daemon.
      ios: grown(first.ios, now.ios) ?? grown(first.requests, now.requests),
      kicks: grown(first.kicks, now.kicks),
      interrupts: grown(first.interrupts, now.interrupts),
      queues: now.queues.map((kick) => ({
        ...kick,
        count: Math.max(0, kick.count - (before.get(keyOf(kick)) ?? 0)),
      })),
    };
  }
}

/** A counter that fell was started anew: what it had before is not known. */
function grown(before: number | undefined, now: number | undefined): number | undefined {
  return before === undefined || now === undefined || now < before ? undefined : now - before;
}

function keyOf({ event, address, thread }: KickCount): string {
  return `${event} ${address} ${thread}`;
}
