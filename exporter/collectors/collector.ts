import { type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import type { Disk } from '../../probes/sys-block.ts';
import type { CpuTopology } from '../../probes/sys-cpu.ts';
import type { Families } from '../metrics/families.ts';
import type { Affinity } from '../model/affinity-reading.ts';
import type { RemoteResult } from '../model/remote.ts';
import type { Residency } from '../model/residency.ts';
import type { Stages } from '../model/stage-reading.ts';
import type { TraceReading } from '../model/trace-reading.ts';
import type { ThreadObservation, Vm, VmThread } from '../model/vm.ts';

/** What one collection works with: the host, who is on it, and where the samples go. */
export interface Collection {
  readonly host: Host;
  readonly families: Families;
  readonly vms: readonly Vm[];
  readonly disks: readonly Disk[];
  readonly topology: CpuTopology | undefined;
  observeThreads(vm: Vm): ThreadObservation[];
  residencyOf(thread: VmThread): Residency | undefined;
  /** Under way since the scrape began. */
  readonly qmp: Promise<RemoteResult>;
  readonly libvirt: Promise<RemoteResult>;
  /** Where threads are, as last looked. */
  readonly affinity: Affinity;
  /** Which stage VMs are in, as last judged. */
  readonly stages: Stages;
  /** What trace events have told by now. */
  trace(): TraceReading | Promise<TraceReading>;
  /** Version of the VM's QEMU; undefined where its monitor is not asked. */
  versionOf(vm: Vm): string | undefined;
  /** Names of the KVM statistics that were already written, by VM key. */
  readonly given: Map<string, ReadonlySet<string>>;
  /** Gives other work its turn when it is due; throws when the scrape's time is up. */
  breathe(): Promise<void>;
}

/** A failure that costs a part of a probe: noted, and the rest goes on. */
export type Report = (problem: SourceError) => void;

/** One subject. The name is the `probe` label, the key in doctor, and the `NAME` of `--no-collector.NAME`. */
export interface Collector {
  readonly name: string;
  /** What this host cannot tell though nothing is wrong: for doctor. */
  readonly limits?: readonly string[];
  collect(collection: Collection, report: Report): void | Promise<void>;
}

/** Runs one read whose failure must not cost the rest; what died meanwhile is no failure. */
export function guarded(path: string, report: Report, read: () => void): void {
  try {
    read();
  } catch (error) {
    const problem = sourceError(error, path);
    if (problem.kind !== 'vanished') report(problem);
  }
}
