import { type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import type { Disk } from '../../probes/sys-block.ts';
import type { CpuTopology } from '../../probes/sys-cpu.ts';
import type { Families } from '../metrics/families.ts';
import type { Affinity } from '../model/affinity-reading.ts';
import type { Remotes } from '../model/remote.ts';
import type { Residency } from '../model/residency.ts';
import type { Stages } from '../model/stage-reading.ts';
import type { TraceReading } from '../model/trace-reading.ts';
import type { ThreadObservation, Vm, VmThread } from '../model/vm.ts';

/** Settings of collectors, in the form they use. Computed once per reload. */
export interface CollectorSettings {
  /** Export all of KVM's statistics for each vCPU, not only the essential ones. */
  readonly allVcpuStatistics: boolean;
  /** Export exits by reason for each vCPU. */
  readonly vcpuReasons: boolean;
  /** Labels of `kvm_vm_metadata_info` that have a value. */
  readonly metadataLabels: ReadonlySet<string>;
  /** Block devices to exclude, by name. */
  readonly blockExclude: RegExp;
}

/** Input and output of one collection: the host, its VMs, and the families that receive the samples. */
export interface Collection extends Remotes {
  readonly host: Host;
  readonly families: Families;
  readonly settings: CollectorSettings;
  readonly vms: readonly Vm[];
  readonly disks: readonly Disk[];
  readonly topology: CpuTopology | undefined;
  /** Whether irqbalance runs; undefined before the processes are known. */
  readonly runsIrqbalance: boolean | undefined;
  /** The threads as first read in this collection. */
  observeThreads(vm: Vm): ThreadObservation[];
  residencyOf(thread: VmThread): Residency | undefined;
  /** Result of the last affinity check. */
  readonly affinity: Affinity;
  /** Stages as last determined. */
  readonly stages: Stages;
  /** Trace events counted so far. */
  trace(): TraceReading | Promise<TraceReading>;
  /** Names of the KVM statistics that were already written, by VM key. */
  readonly written: Map<string, ReadonlySet<string>>;
  /** Yields to the event loop every few milliseconds. Throws when the scrape's deadline has passed. */
  yieldIfDue(): Promise<void>;
}

/** Reports a partial failure of a collector. The collector continues. */
export type Report = (problem: SourceError) => void;

/**
 * One collector. The name is the `collector` label, the key in doctor and the `NAME` of `--no-collector.NAME`.
 */
export interface Collector {
  readonly name: string;
  /** What this host cannot provide although nothing is wrong. Shown by doctor. */
  readonly limits?: readonly string[];
  /** Why this source is not used here, although nothing failed. Shown by doctor with the remedy. */
  readonly missing?: readonly SourceError[];
  collect(collection: Collection, report: Report): void | Promise<void>;
}

/**
 * Runs one read and reports its failure instead of throwing it. A thread or VM that exits during the scrape
 * is not an error.
 */
export function guarded(path: string, report: Report, read: () => void): void {
  try {
    read();
  } catch (error) {
    const problem = sourceError(error, path);
    if (problem.kind !== 'vanished') report(problem);
  }
}
