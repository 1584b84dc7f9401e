import type { HostEvent } from '../model/host-event.ts';

/** An event in the log. */
export interface LoggedEvent extends HostEvent {
  /** Grows by one with each event since the daemon started. */
  readonly id: number;
  /** Milliseconds of the epoch. */
  readonly at: number;
}

export interface EventQuery {
  readonly vm?: string | undefined;
  /** Milliseconds of the epoch. */
  readonly since?: number | undefined;
  readonly limit: number;
}

export const MAX_EVENTS = 1000;
/** A tenant chooses names of VMs and threads. */
const MAX_TEXT = 300;

/** The last events of the host. The oldest one makes room for a new one. */
export class EventLog {
  readonly #events: LoggedEvent[] = [];
  #count = 0;

  /** @param epochMs milliseconds of the epoch */
  constructor(private readonly epochMs: () => number) {}

  /** Number of events since the daemon started. */
  get count(): number {
    return this.#count;
  }

  add({ kind, vm, what, evidence }: HostEvent): void {
    const at = Math.round(this.epochMs());
    this.#events.push({ id: ++this.#count, at, kind, vm, what: capped(what), evidence: capped(evidence) });
    if (this.#events.length > MAX_EVENTS) this.#events.shift();
  }

  /** The newest events that match, oldest first. */
  find({ vm, since = Number.NEGATIVE_INFINITY, limit }: EventQuery): LoggedEvent[] {
    const found: LoggedEvent[] = [];
    for (const event of this.#events.toReversed()) {
      if (found.length >= limit) break;
      if (event.at >= since && (vm === undefined || event.vm === vm)) found.push(event);
    }
    return found.reverse();
  }
}

function capped(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`;
}
