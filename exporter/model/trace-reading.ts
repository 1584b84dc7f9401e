import type { SourceError } from '../../probes/errors.ts';
import type { Isa, ReasonNames } from './io-path.ts';
import type { Vm } from './vm.ts';
import type { VmTrace } from './vm-trace.ts';

export interface SetReading {
  readonly set: string;
  /** Entries of the set's fullest map. */
  readonly entries: number;
  /** Events that were dropped because a map was full, since the daemon started. */
  readonly dropped: number;
  /** Share of the time in which the set counted. */
  readonly activeRatio: number;
  /** Share of the events of the last second that were counted, chosen at random; undefined for a backend that does not sample. */
  readonly sampledRatio?: number;
  /** Seconds from one window in which the set counts to the next, on average; undefined if it counts all the time. */
  readonly windowEvery?: number | undefined;
}

/** The counts of the trace events so far. */
export interface TraceReading {
  /** undefined if no backend counts. */
  readonly backend: 'bpf' | 'tracefs' | 'perf' | undefined;
  readonly isa: Isa;
  readonly names: ReasonNames;
  of(vm: Vm): VmTrace | undefined;
  readonly sets: readonly SetReading[];
  readonly problems: readonly SourceError[];
  /** Share of a CPU's time that tracing takes, on the CPU where it takes most; undefined if unknown. */
  readonly costRatio: number | undefined;
  /** What an event costs on this host, measured, compared with the exporter's table; undefined if it was not measured. */
  readonly costFactor?: number | undefined;
  /** Why a better backend is not used here, although nothing failed. */
  readonly missing: readonly SourceError[];
  /** What a working backend cannot report. */
  readonly limits: readonly string[];
}

/** The reading if no backend counts. */
export const NOT_TRACED: TraceReading = {
  backend: undefined,
  isa: 'vmx',
  names: new Map(),
  of: () => undefined,
  sets: [],
  problems: [],
  costRatio: undefined,
  missing: [],
  limits: [],
};
