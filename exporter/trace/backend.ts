import type { SourceError } from '../../probes/errors.ts';
import type { SetReading } from '../model/trace-reading.ts';
import type { VmTrace } from '../model/vm-trace.ts';

/** One way of counting trace events. VMs are named by their key. */
export interface Backend {
  readonly name: 'bpf' | 'tracefs' | 'perf';
  /** Call every second. */
  tick(): Promise<void>;
  /** Reads the counts so far, in steps: the caller can yield to the event loop between them. */
  read(): Iterable<void>;
  of(vm: string): VmTrace | undefined;
  /** Resolves when the counts of a VM are up to date, after `withinMs` at the latest. */
  current(vm: string, withinMs: number): Promise<void>;
  /** @returns leftovers that could not be removed */
  stop(): Promise<readonly SourceError[]>;
  readonly sets: readonly SetReading[];
  readonly problems: readonly SourceError[];
  /** The reason why it does not count all sets that it was started for; undefined if it always does. */
  readonly lacks?: readonly SourceError[];
  /** Share of a CPU's time that tracing takes now, where it takes most. */
  readonly costRatio?: number;
  /** Measured cost of an event on this host, relative to the table of costs; undefined if it was not measured. */
  readonly costFactor?: number | undefined;
  /** Limits of the backend, which are no errors. */
  readonly limits: readonly string[];
}
