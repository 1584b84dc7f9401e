import type { SourceError } from '../../probes/errors.ts';
import type { Drift } from './drift.ts';
import type { ObservedVm } from './observed.ts';
import type { Vm } from './vm.ts';

/** The placement of a VM's threads, and their drift. */
export interface VmAffinity {
  readonly observed: ObservedVm;
  readonly drifts: readonly Drift[];
  /** Share of the VM's memory on the NUMA nodes on which its vCPUs run. */
  readonly memoryLocal: number | undefined;
  /** Share of the I/O threads' CPUs whose requests complete on the same CPU, or on the same node. */
  readonly completions: { readonly cpu: number | undefined; readonly node: number | undefined };
}

export interface Affinity {
  /** undefined if the VM has not been checked yet. */
  of(vm: Vm): VmAffinity | undefined;
  readonly problems: readonly SourceError[];
}
