import type { SourceError } from '../../probes/errors.ts';
import type { Vm } from './vm.ts';
import type { Migration, VmStatistics } from './vm-statistics.ts';

/** The result of a source outside the kernel, such as a VMM or libvirt, in one scrape. */
export interface RemoteResult {
  /** By VM key. A VM that did not respond is missing. */
  readonly statistics: ReadonlyMap<string, VmStatistics>;
  /** Keys of the VMs that were queried. */
  readonly queried: ReadonlySet<string>;
  readonly problems: readonly SourceError[];
  /** By VM key. libvirt reports a migration even if the domain is too busy for statistics. */
  readonly migrations?: ReadonlyMap<string, Migration>;
  /** Keys of VMs that arrive by migration and do not run yet, from libvirt. */
  readonly arriving?: ReadonlySet<string>;
}

/** KVM's statistics from the kernel itself, by BPF. */
export interface KernelResult extends RemoteResult {
  /** Whether the kernel was read in this scrape. */
  readonly works: boolean;
  /** Why BPF is not used here. Not an error, because the other sources are used. */
  readonly missing: readonly SourceError[];
  /** Whether each BPF object that was tried is loaded now. */
  readonly objects: ReadonlyMap<string, boolean>;
}

/** The requests of one scrape to these sources, in progress. */
export interface Remotes {
  readonly kernel: KernelResult;
  readonly qmp: Promise<RemoteResult>;
  readonly libvirt: Promise<RemoteResult>;
  /** Version of the VM's QEMU; undefined if its monitor is not queried. */
  versionOf(vm: Vm): string | undefined;
}

export const NOTHING: RemoteResult = { statistics: new Map(), queried: new Set(), problems: [] };
export const NO_KERNEL: KernelResult = { ...NOTHING, works: false, missing: [], objects: new Map() };
