/** Kinds of events of a host, with their names on the page's time line. */
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

/** An event of a VM. */
export interface HostEvent {
  readonly kind: EventKind;
  /** The `vm` label. */
  readonly vm: string;
  /** The thread, the technique or the transition; empty if the kind is enough. */
  readonly what: string;
  /** The measurement; empty if there is none. */
  readonly evidence: string;
}
