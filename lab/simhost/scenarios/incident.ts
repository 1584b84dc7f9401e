import type { SimulatedHost } from '../host.ts';
import { DRIFT_KINDS, type DriftKind } from '../misfortunes.ts';
import type { Scenario, Span, Watchers } from './scenario.ts';

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

/** Something that is worth an alert, or, where it is small or short, is not. */
export interface Incident extends Span {
  readonly kind: VmKind | DiskKind | HostKind;
  /** Empty where it is the host's. */
  readonly vm: string;
  /**
   * exit_storm, storm_of_its_day: exits a second; exits_slow, disk_slow: factor; halt_poll_waste: share of each vCPU; vcpu_starved: vCPUs;
   * others: 1.
   */
  readonly size: number;
  /** storm_of_its_day: exits a second all day, where it has had a day; one_queue: I/Os a second. */
  readonly usual?: number;
}

export interface ScenarioWithIncidents extends Scenario {
  /** In order of beginning; a disk's for each VM on it. */
  readonly incidents: readonly Incident[];
}

/** Begins or ends an incident of a VM. */
export function strikeVm(host: SimulatedHost, kind: VmKind, vm: string, size: number, on: boolean): void {
  if (kind === 'exit_storm' || kind === 'storm_of_its_day') host.exitStorm(vm, on ? size : undefined);
  else if (kind === 'exits_slow') host.slowExits(vm, on ? size : 1);
  else if (kind === 'polling_lost') host.losePolling(vm, on);
  else if (kind === 'one_queue') host.useOneQueue(vm, on);
  else if (kind === 'halt_poll_waste') host.wasteHaltPolls(vm, on ? size : 0);
  else if (kind === 'vcpu_starved') host.hog(vm, on ? size : 0);
  else if (!on) host.restore(vm);
  else {
    const drift = DRIFT_KINDS.find((each) => kind === `drift_${each}`);
    if (drift !== undefined) host.drift(vm, drift);
  }
}

/** Begins or ends an incident of the host. */
export function strikeHost(host: SimulatedHost, watchers: Watchers, kind: HostKind, on: boolean): void {
  if (kind === 'exporter_down') watchers.exporter = on ? 'down' : 'up';
  else host.lockdown = on ? 'integrity' : 'none';
}
