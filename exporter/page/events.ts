import type { LoggedEvent } from '../assessment/event-log.ts';
import { EVENT_WORDS } from '../model/host-event.ts';
import type { LiveEvents } from './live.ts';

/** For the time line: the kind in words, and its subject. */
export function liveEvents(events: readonly LoggedEvent[]): LiveEvents {
  return {
    events: events.map(({ id, at, vm, kind, what, evidence }) => ({
      id,
      at,
      vm,
      kind,
      evidence,
      what: [EVENT_WORDS[kind], what].filter((part) => part !== '').join(': '),
    })),
  };
}
