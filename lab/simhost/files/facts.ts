import type { SimDisk } from '../disk.ts';
import type { Topology } from '../topology.ts';

/** Host data that the file writers need. */
export interface HostFacts {
  readonly topology: Topology;
  readonly disks: readonly SimDisk[];
  readonly allCpus: readonly number[];
  /** Seconds since boot. */
  readonly uptime: number;
  /** Unix time in seconds. */
  readonly bootTime: number;
  readonly lockdown: 'none' | 'integrity' | 'confidentiality';
  readonly nodeOf: (cpu: number) => number;
}
