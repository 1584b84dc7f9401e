import type { SourceError } from '../../probes/errors.ts';
import type { VmStatistics } from './vm-statistics.ts';

/** What a source outside the kernel, a VMM or its manager, said in one scrape. */
export interface RemoteResult {
  /** By VM key; a VM that did not answer has none. */
  readonly statistics: ReadonlyMap<string, VmStatistics>;
  /** Keys of the VMs that were asked. */
  readonly asked: ReadonlySet<string>;
  readonly problems: readonly SourceError[];
}

export const NOTHING: RemoteResult = { statistics: new Map(), asked: new Set(), problems: [] };
