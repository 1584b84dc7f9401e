import type { SourceError } from '../../probes/errors.ts';
import type { Isa, ReasonNames } from './io-path.ts';
import type { Vm } from './vm.ts';
import type { VmTrace } from './vm-trace.ts';

export interface SetReading {
  readonly set: string;
  /** In its fullest map. */
  readonly entries: number;
  /** Events that found no room, since the daemon started. */
  readonly dropped: number;
  /** Share of the time in which it counted. */
  readonly activeRatio: number;
}

/** What trace events have told by now. */
export interface TraceReading {
  /** undefined where nothing counts. */
  readonly backend: 'tracefs' | 'perf' | undefined;
  readonly isa: Isa;
  readonly names: ReasonNames;
  of(vm: Vm): VmTrace | undefined;
  readonly sets: readonly SetReading[];
  readonly problems: readonly SourceError[];
  /** What the backend cannot tell though it works. */
  readonly limits: readonly string[];
}

/** Where nothing counts. */
export const NOT_TRACED: TraceReading = {
  backend: undefined,
  isa: 'vmx',
  names: new Map(),
  of: () => undefined,
  sets: [],
  problems: [],
  limits: [],
};
