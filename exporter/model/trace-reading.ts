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
  missing: [],
  limits: [],
};
