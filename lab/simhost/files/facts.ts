import type { SimDisk } from '../disk.ts';
import type { Topology } from '../topology.ts';

/** What the writers of files need of the host. */
export interface HostFacts {
  readonly topology: Topology;
  readonly disks: readonly SimDisk[];
  readonly allCpus: readonly number[];
  /** Seconds since boot. */
  readonly uptime: number;
  /** Seconds of the epoch. */
  readonly bootTime: number;
  readonly lockdown: 'none' | 'integrity' | 'confidentiality';
  readonly nodeOf: (cpu: number) => number;
}
