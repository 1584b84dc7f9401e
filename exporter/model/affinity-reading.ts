import type { SourceError } from '../../probes/errors.ts';
import type { Drift } from './drift.ts';
import type { ObservedVm } from './observed.ts';
import type { Vm } from './vm.ts';

/** Where a VM's threads are, and what of that is not as it should be. */
export interface VmAffinity {
  readonly observed: ObservedVm;
  readonly drifts: readonly Drift[];
  /** Share of its memory on the nodes on which its vCPUs run. */
  readonly memoryLocal: number | undefined;
  /** Share of the I/O threads' CPUs whose requests complete on the same CPU, and on the same node. */
  readonly completions: { readonly cpu: number | undefined; readonly node: number | undefined };
}

export interface Affinity {
  /** undefined for a VM that was not looked at yet. */
  of(vm: Vm): VmAffinity | undefined;
  readonly problems: readonly SourceError[];
}
