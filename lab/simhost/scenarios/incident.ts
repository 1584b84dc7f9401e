import { DRIFT_KINDS, type DriftKind } from '../fault-injection.ts';
import type { SimulatedHost } from '../host.ts';
import type { Random } from '../random.ts';
import {
  absent,
  between,
  type Happening,
  MINUTE,
  type Scenario,
  type Span,
  type Watchers,
} from './scenario.ts';

export type VmKind =
  | 'exit_storm'
  | 'storm_of_its_day'
  | 'exits_slow'
  | 'polling_lost'
  | 'one_queue'
  | 'halt_poll_waste'
  | 'vcpu_starved'
  | `drift_${DriftKind}`;
export type DiskKind = 'disk_stall' | 'disk_slow';
export type HostKind = 'exporter_down' | 'lockdown';

/** An event that must raise an alert, or that must not because it is too small or too short. */
export interface Incident extends Span {
  readonly kind: VmKind | DiskKind | HostKind;
  /** Empty for an incident of the host. */
  readonly vm: string;
  /**
   * exit_storm, storm_of_its_day: exits per second; exits_slow, disk_slow: factor; halt_poll_waste: share of
   * each vCPU; vcpu_starved: vCPUs; others: 1.
   */
  readonly size: number;
  /** storm_of_its_day: exits per second all day, if it has had a day; one_queue: I/Os per second. */
  readonly usual?: number;
}

export interface ScenarioWithIncidents extends Scenario {
  /** Ordered by start. An incident of a disk is listed for each VM on it. */
  readonly incidents: readonly Incident[];
}

/** Incidents of a scenario: their description and the events that cause them. */
export class Incidents {
  readonly happenings: Happening[] = [];
  readonly #begun: Incident[] = [];

  /** @param start in seconds; minutes count from it */
  constructor(
    private readonly random: Random,
    private readonly start = 0,
  ) {}

  /**
   * Adds an incident that starts within the minute after this one and lasts this many minutes.
   * @param of one, or one for each VM of a disk
   */
  add(
    minute: number,
    minutes: number,
    of: readonly Omit<Incident, keyof Span>[],
    set: (on: boolean) => void,
  ): void {
    const from = this.start + Math.round((minute + this.random.next()) * MINUTE);
    const to = from + minutes * MINUTE;
    for (const incident of of) this.#begun.push({ ...incident, from, to });
    this.happenings.push(...between(from, to, set));
  }

  /** Ordered by start. */
  get incidents(): readonly Incident[] {
    return [...this.#begun].sort((a, b) => a.from - b.from);
  }
}

/** Starts or ends an incident of a VM. */
export function injectIntoVm(host: SimulatedHost, kind: VmKind, vm: string, size: number, on: boolean): void {
  if (kind === 'exit_storm' || kind === 'storm_of_its_day') host.faults.exitStorm(vm, on ? size : undefined);
  else if (kind === 'exits_slow') host.faults.slowExits(vm, on ? size : 1);
  else if (kind === 'polling_lost') host.faults.losePolling(vm, on);
  else if (kind === 'one_queue') host.faults.useOneQueue(vm, on);
  else if (kind === 'halt_poll_waste') host.faults.wasteHaltPolls(vm, on ? size : 0);
  else if (kind === 'vcpu_starved') host.faults.hog(vm, on ? size : 0);
  else if (!on) host.faults.restore(vm);
  else {
    const drift = DRIFT_KINDS.find((each) => kind === `drift_${each}`);
    if (drift !== undefined) host.faults.drift(vm, drift);
  }
}

/** Starts or ends an incident of the host. */
export function injectIntoHost(host: SimulatedHost, watchers: Watchers, kind: HostKind, on: boolean): void {
  if (kind === 'exporter_down') absent(watchers, 'exporter', on);
  else host.lockdown = on ? 'integrity' : 'none';
}
