/** Kinds of events of a host, with what the time line of the page calls them. */
export const EVENT_WORDS = {
  vm_started: 'VM started',
  vm_ended: 'VM ended',
  drift_began: 'drift',
  drift_ended: 'drift ended',
  technique_lost: 'technique lost',
  technique_changed: 'technique',
  phase_changed: 'phase',
  storm_began: 'exit storm',
  storm_ended: 'exit storm ended',
  stall_began: 'stalled',
  stall_ended: 'stall ended',
  apicv_inhibited: 'APICv inhibited',
  apicv_works: 'APICv works again',
  migration_began: 'live migration began',
  migration_ended: 'live migration ended',
  swap_began: 'guest memory goes to swap',
  swap_ended: 'swapping ended',
  numa_balancing_began: 'NUMA balancing moves pages',
  numa_balancing_ended: 'NUMA balancing ended',
  huge_pages_lost: 'guest memory in small pages',
  huge_pages_back: 'guest memory in huge pages again',
} as const;

export type EventKind = keyof typeof EVENT_WORDS;

/** Something that happened to a VM. */
export interface HostEvent {
  readonly kind: EventKind;
  /** The `vm` label. */
  readonly vm: string;
  /** The thread, the technique, or from what to what; empty if the kind says all. */
  readonly what: string;
  /** What was measured; empty if nothing was. */
  readonly evidence: string;
}
