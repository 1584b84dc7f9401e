import type { SimPressure } from '../cgroup.ts';
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
  /** Of tasks that wait for a CPU; undefined where the kernel has no PSI. */
  readonly pressure: SimPressure | undefined;
  /** Shares of the nominal frequency, by CPU; undefined without cpufreq and cpuidle. */
  readonly frequencies: ReadonlyMap<number, number> | undefined;
  /** Whether the host has the rows of BPF iterators. */
  readonly hasBpf: boolean;
  readonly lockdown: 'none' | 'integrity' | 'confidentiality';
  readonly nodeOf: (cpu: number) => number;
}
