import type { TraceObjectName } from '../../../probes/bpf/trace-object.ts';
import type { EventCost } from '../budget.ts';
import type { TraceSetName } from '../sets.ts';
import type { SubKey } from '../tally.ts';
import type { TallyName } from '../trigger.ts';

/** The part of a map that a tally uses. */
export interface View {
  readonly tally: TallyName;
  /** The tally's key from the fields of the map's key after the thread id; undefined if the tally does not count the row. */
  of(fields: readonly number[]): SubKey | undefined;
}

/** A map of an object. Its key begins with the thread id, its value with the weight of its events. */
export interface MapOfCounts {
  readonly name: string;
  readonly set: TraceSetName;
  /** Bytes of the key's fields after the thread id. */
  readonly fields: readonly (4 | 8)[];
  /** The rest of the value after the weight: nothing, a sum, or KVM's count of exits. */
  readonly value: 'weight' | 'sum' | 'exits';
  readonly views: readonly View[];
}

export interface Program {
  readonly name: string;
  /** Number of its gate; undefined if it has none, because it only continues what another began. */
  readonly gate: number | undefined;
  /** With the programs that continue it. */
  readonly cost: EventCost;
  readonly isX86?: boolean;
}

/** The threads and processes of the traced VMs: exporter/trace/threads.ts */
export interface Followed {
  readonly onIoPath: readonly number[];
  readonly processes: readonly number[];
}

/** An object of probes/bpf/ and how it is read. */
export interface ObjectOfSets {
  readonly name: TraceObjectName;
  readonly sets: readonly TraceSetName[];
  /** The ids in its map `followed`, if it has one: it counts only events of these. */
  readonly follows?: keyof Followed;
  /** The programs to attach for the sets. */
  programs(sets: ReadonlySet<TraceSetName>): readonly Program[];
  readonly maps: readonly MapOfCounts[];
}

const view = (tally: TallyName, of: View['of'] = (fields) => fields): View => ({ tally, of });

/** Fields of an address key: whether it may be a notification, and the address. */
const notifications = (tally: TallyName): View =>
  view(tally, ([isNotify, address = 0]) => (isNotify === 1 ? [address] : undefined));

/** Measured on one machine (Linux 6.18), rounded: decision 0038. */
const COUNTED: EventCost = { eventNs: 90, sampleNs: 110 };
/** An estimate: two time stamps and a second map; the program that ends the time runs at each event. */
const TIMED: EventCost = { eventNs: 150, sampleNs: 300 };

function program(name: string, gate: number | undefined, isX86 = false): Program {
  return { name, gate, isX86, cost: COUNTED };
}

function timed(name: string, gate: number): Program {
  return { name, gate, cost: TIMED };
}

function counts(
  set: TraceSetName,
  name: string,
  fields: MapOfCounts['fields'],
  views: readonly View[],
): MapOfCounts {
  return { set, name, fields, value: 'weight', views };
}

/** The objects, each with the sets that it counts. The numbers of gates are those of the enumerations in the sources. */
export const OBJECTS: readonly ObjectOfSets[] = [
  {
    name: 'trace-exits',
    sets: ['exits', 'exit_duration'],
    programs: (sets) =>
      sets.has('exit_duration')
        ? [timed('timed_exits', 0), program('entries', undefined)]
        : [program('exits', 0)],
    maps: [
      { name: 'exit_counts', set: 'exits', fields: [4], value: 'exits', views: [view('exits')] },
      {
        name: 'exit_durations',
        set: 'exit_duration',
        fields: [4, 4],
        value: 'sum',
        views: [view('exitDurations', ([exponent = 0, reason = 0]) => [reason, exponent])],
      },
    ],
  },
  {
    name: 'trace-notifications',
    sets: ['notifications'],
    programs: () => [
      program('fast_mmio', 0, true),
      program('mmio', 1),
      program('pio', 2, true),
      program('userspace_exits', 3),
    ],
    maps: [
      counts('notifications', 'fast_mmio_counts', [4, 8], [notifications('fastMmio')]),
      counts('notifications', 'mmio_counts', [4, 8], [view('mmio'), notifications('mmioWrites')]),
      counts('notifications', 'mmio_in_user_space', [4, 8], [notifications('mmioInUserSpace')]),
      counts('notifications', 'pio_counts', [4, 8], [view('pio'), notifications('pioWrites')]),
      counts('notifications', 'userspace_exit_counts', [4], [view('userspaceExits')]),
    ],
  },
  {
    name: 'trace-interrupts',
    sets: ['interrupts'],
    programs: () => [
      program('msi', 0, true),
      program('injections', 1, true),
      program('eois', 2, true),
      program('pv_eois', 3, true),
    ],
    maps: [
      counts('interrupts', 'msi_counts', [4, 8, 8], [view('msi', ([, ...fields]) => fields)]),
      counts('interrupts', 'injection_counts', [], [view('injections')]),
      counts('interrupts', 'eoi_counts', [], [view('eois')]),
      counts('interrupts', 'pv_eoi_counts', [], [view('pvEois')]),
    ],
  },
  {
    name: 'trace-halt-poll',
    sets: ['halt_poll'],
    programs: () => [program('halt_poll', 0)],
    maps: [counts('halt_poll', 'halt_poll_counts', [4], [view('haltPoll')])],
  },
  {
    name: 'trace-block',
    sets: ['block', 'block_duration'],
    programs: (sets) =>
      sets.has('block_duration')
        ? [timed('timed_issues', 0), program('completions', undefined)]
        : [program('issues', 0)],
    maps: [
      counts('block', 'issue_counts', [4], [view('blockRequests')]),
      {
        name: 'block_durations',
        set: 'block_duration',
        fields: [4, 4],
        value: 'sum',
        views: [view('blockDurations', ([exponent = 0]) => [exponent])],
      },
    ],
  },
  {
    name: 'trace-sched',
    sets: ['sched'],
    follows: 'onIoPath',
    programs: () => [program('switches', 0), program('migrations', 1)],
    maps: [
      counts('sched', 'switch_counts', [], [view('switches')]),
      counts('sched', 'migration_counts', [], [view('migrations')]),
    ],
  },
  {
    name: 'trace-lock',
    sets: ['lock'],
    follows: 'processes',
    programs: () => [timed('contentions', 0), program('ends', undefined)],
    maps: [
      {
        name: 'contention_durations',
        set: 'lock',
        fields: [4, 4],
        value: 'sum',
        views: [view('lockContention', ([exponent = 0]) => [exponent])],
      },
    ],
  },
];
