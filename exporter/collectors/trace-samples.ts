import type { Families } from '../metrics/families.ts';
import type { Addends } from '../model/continued-counter.ts';
import type { Isa, ReasonNames } from '../model/io-path.ts';

/** Label value for the sum of everything without a series of its own. */
export const OTHER = 'other';

/** Where the samples of one VM's trace events go. Counters continue when the backend changes. */
export interface TraceSamples {
  readonly families: Families;
  /** The VM's label. */
  readonly vm: string;
  readonly isa: Isa;
  readonly names: ReasonNames;
  /** Value of a counter with one source. @param name of the counter among those of the VM */
  total(name: string, reading: number): number;
  /** Value of a counter that is a sum. */
  sum(name: string, addends: Addends): number;
}

/** The vCPU's index from its thread's label; undefined for other threads. */
export function vcpuOf(thread: string | undefined): string | undefined {
  return thread === undefined ? undefined : /^vcpu(\d+)$/.exec(thread)?.[1];
}
