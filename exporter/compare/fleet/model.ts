import type { Span } from '../model.ts';
import type { FleetMetric } from './metrics.ts';
import type { TermName } from './queries.ts';

/** The numbers of a host, or of its VMs that are in one group: one for each window, NaN where there is none. */
export type Numbers = ReadonlyMap<TermName, Float64Array>;

/** The windows in which a host was in one group, and its numbers. */
export interface HostTime {
  /** Indices of the windows, ascending. */
  readonly windows: readonly number[];
  readonly numbers: Numbers;
}

export interface FleetHost {
  /** `east/kvm7:9954`; without a cluster `kvm7:9954`. */
  readonly name: string;
  readonly groups: ReadonlyMap<string, HostTime>;
}

/** Windows of equal length, without gaps. */
export interface Windows {
  /** Of the first window, in seconds of the epoch. */
  readonly start: number;
  readonly seconds: number;
  readonly count: number;
}

/** The input of the statistics: no effects beyond it. */
export interface FleetComparison {
  /** `kernel`. */
  readonly label: string;
  /** Whether a host may be in several groups at once, with its VMs. */
  readonly isOfVm: boolean;
  readonly metrics: readonly FleetMetric[];
  /** In the order of the report: the first is the base. */
  readonly groups: readonly string[];
  readonly hosts: readonly FleetHost[];
  readonly windows: Windows;
  /** Warm-up: seconds after a change that are left out. */
  readonly warmUp: number;
  /** For the first group. */
  readonly notes: readonly string[];
}

export function spanOfWindow({ start, seconds }: Windows, i: number): Span {
  return { start: start + i * seconds, end: start + (i + 1) * seconds };
}
