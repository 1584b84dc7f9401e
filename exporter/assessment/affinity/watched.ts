import type { Disk } from '../../../probes/sys-block.ts';
import type { CpuTopology } from '../../../probes/sys-cpu.ts';
import { SAMPLED_ROLES } from '../../model/roles.ts';
import type { Vm, VmThread } from '../../model/vm.ts';

/** The inventory, as far as the affinity check needs it. */
export interface Watched {
  readonly vms: readonly Vm[];
  readonly disks: readonly Disk[];
  readonly topology: CpuTopology | undefined;
  threadsOf(vm: Vm): Iterable<VmThread>;
  /** Reads libvirt's pins again. */
  refreshPins(): void;
}

/** The threads whose affinity is checked: those on the I/O path, and the emulator. */
export function checkedThreads(watched: Watched, vm: Vm): VmThread[] {
  return [...watched.threadsOf(vm)].filter(({ role }) => SAMPLED_ROLES.has(role) || role === 'emulator');
}
