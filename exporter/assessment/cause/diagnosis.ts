import type { EventKind, HostEvent } from '../../model/host-event.ts';
import { type Loss, lossesOf, type MeasuredCause, unknownIn } from './losses.ts';
import { MEASURES, type Measured } from './measures.ts';
import { median } from './segments.ts';
import { type Hour, type Worsening, worseningOf } from './worsening.ts';

/** An event and its time. */
export interface TimedEvent extends HostEvent {
  /** Milliseconds of the epoch. */
  readonly at: number;
}

export type EventCause =
  | 'lost_pin'
  | 'lost_technique'
  | 'apicv_inhibited'
  | 'migration'
  | 'memory_swap'
  | 'numa_balancing'
  | 'huge_pages'
  | 'device_stalled'
  | 'phase';

/** A change in the same minutes. It may be unrelated to the worsening. */
export interface Cause {
  readonly cause: MeasuredCause | EventCause;
  /** undefined if nothing was measured. */
  readonly before: number | undefined;
  readonly after: number | undefined;
  readonly unit: Loss['unit'] | undefined;
  /** Largest share of the loss that the change could explain. */
  readonly explains: number;
  readonly text: string;
}

export interface Diagnosis {
  /** Whether enough I/Os were counted to see a worsening. */
  readonly isKnown: boolean;
  /** undefined if the VM's I/O is not worse than before. */
  readonly worsening: Worsening | undefined;
  /** Strongest first. Empty: no measure of this exporter changed. */
  readonly causes: readonly Cause[];
  /** Measures that are unknown. Each of them may be the cause. */
  readonly unknown: readonly MeasuredCause[];
}

/** The changes in the minutes in which a VM's I/O became worse. */
export interface Change {
  readonly before: Measured;
  readonly after: Measured;
  /** Share of the time of an I/O that is lost. */
  readonly loss: number;
  /** Of the same minutes, the nearest first. */
  readonly events: readonly HostEvent[];
}

/** The cause of each event, and the measures through which it acts. */
const OF_EVENTS: Readonly<Partial<Record<EventKind, readonly [EventCause, readonly MeasuredCause[]]>>> = {
  drift_began: ['lost_pin', ['run_queue_wait']],
  technique_lost: ['lost_technique', ['exits']],
  apicv_inhibited: ['apicv_inhibited', ['exits']],
  migration_began: ['migration', ['exits', 'memory_pressure']],
  swap_began: ['memory_swap', ['memory_pressure', 'io_pressure']],
  numa_balancing_began: ['numa_balancing', ['exits']],
  huge_pages_lost: ['huge_pages', ['exits']],
  stall_began: ['device_stalled', ['device']],
  phase_changed: ['phase', []],
};
/** The technique whose loss is also a drift event: a lost pin. */
const PINNING = 'affinity';
/** Only this time before the change counts. */
const BEFORE_SECONDS = 600;
/** Fewer rounds cannot show a change. */
const MIN_ROUNDS = 6;
/** The daemon finds an event after the judgements that confirm it, and an event may precede its effect. */
const EARLIEST_MS = -120_000;
const LATEST_MS = 180_000;

/** The changes in the minutes in which a VM's I/O became worse, strongest first. */
export function diagnose(hour: Hour, events: readonly TimedEvent[]): Diagnosis {
  const worsening = worseningOf(hour);
  const isKnown = (hour.series['iops'] ?? []).filter((value) => value !== null).length >= MIN_ROUNDS;
  if (worsening === undefined) return { isKnown, worsening, causes: [], unknown: [] };
  const { since, loss } = worsening;
  const first = hour.times.findIndex((time) => time > since - BEFORE_SECONDS);
  const before = measuredIn(hour, Math.max(first, worsening.before.from), worsening.before.to);
  const after = measuredIn(hour, worsening.after.from, worsening.after.to);
  const distance = ({ at }: TimedEvent): number => at - since * 1000;
  const near = events
    .filter((event) => distance(event) >= EARLIEST_MS && distance(event) <= LATEST_MS)
    .sort((a, b) => Math.abs(distance(a)) - Math.abs(distance(b)));
  return {
    isKnown: true,
    worsening,
    causes: rankCauses({ before, after, loss, events: near }),
    unknown: unknownIn(before, after),
  };
}

/**
 * Ranks changes by the share of the lost time that each could explain. An event takes over the measures through which
 * it acts. An event without a measure could explain the share that no measure explains.
 */
export function rankCauses({ before, after, loss, events }: Change): Cause[] {
  const losses = lossesOf(before, after);
  const claimed = new Set<MeasuredCause>();
  const named = eventsByCause(events).map(({ event, cause, acts }) => {
    const own = losses.filter((each) => acts.includes(each.cause) && !claimed.has(each.cause));
    for (const each of own) claimed.add(each.cause);
    return { event, cause, own };
  });
  const free = losses.filter(({ cause }) => !claimed.has(cause));
  const unexplained = loss - Math.max(0, ...free.map((each) => each.loss));
  const shareOf = (lost: number): number => Math.min(1, Math.max(0, lost / loss));
  const causes = [
    ...named.map(({ event, cause, own }): Cause => {
      const [most] = own;
      const text = [wordsOf(event), ...own.map((each) => each.text)].join('; ');
      const explains = shareOf(Math.max(unexplained, ...own.map((each) => each.loss)));
      return { cause, before: most?.before, after: most?.after, unit: most?.unit, explains, text };
    }),
    ...free.map(({ loss: lost, ...each }): Cause => ({ ...each, explains: shareOf(lost) })),
  ];
  return causes.filter(({ explains }) => explains > 0).sort((a, b) => b.explains - a.explains);
}

interface Named {
  readonly event: HostEvent;
  readonly cause: EventCause;
  readonly acts: readonly MeasuredCause[];
}

/** One event for each cause: the first. */
function eventsByCause(events: readonly HostEvent[]): Named[] {
  const found = new Map<EventCause, Named>();
  for (const event of events) {
    const [cause, acts] = causeOf(event) ?? [];
    if (cause !== undefined && acts !== undefined && !found.has(cause))
      found.set(cause, { event, cause, acts });
  }
  return [...found.values()];
}

function causeOf({ kind, what }: HostEvent): (typeof OF_EVENTS)[EventKind] {
  return OF_EVENTS[kind === 'technique_lost' && what === PINNING ? 'drift_began' : kind];
}

const EVENT_TEXTS: Readonly<Partial<Record<EventKind, string>>> = {
  drift_began: 'a thread left its expected affinity',
  technique_lost: 'a technique was lost',
  apicv_inhibited: 'KVM stopped using APICv',
  migration_began: 'a live migration began',
  swap_began: 'memory of the guest went to swap',
  numa_balancing_began: 'NUMA balancing moved pages of the guest',
  huge_pages_lost: 'KVM maps memory in small pages that it mapped in huge ones',
  stall_began: 'a device completes nothing',
  phase_changed: 'another phase was declared',
};

function wordsOf({ kind, what, evidence }: HostEvent): string {
  const details = [what, evidence].filter((part) => part !== '').join(': ');
  return `${EVENT_TEXTS[kind] ?? kind}${details === '' ? '' : ` (${details})`}`;
}

/** Medians of the known values, because the round of the change is partly before and partly after it. */
function measuredIn({ series }: Hour, from: number, to: number): Measured {
  const known = MEASURES.flatMap((measure): [string, number][] => {
    const values = (series[measure] ?? []).slice(from, to).filter((value) => value !== null);
    return values.length === 0 ? [] : [[measure, median(values)]];
  });
  return Object.fromEntries(known);
}
