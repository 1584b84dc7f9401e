import { METRICS, termsOf } from '../metrics.ts';
import { NAMED_BY } from '../periods.ts';
import { partsOf } from '../terms.ts';

/**
 * A recording is lines of JSON. A head begins the numbering of the series; each scrape names the series that are new, and has
 * the value of each series at its number.
 */
export interface Head {
  readonly recording: 1;
  readonly host: string;
}

export interface ScrapeLine {
  /** Seconds of the epoch. */
  readonly at: number;
  /** Series that are new since the head: `kvm_vm_vcpus{vm="web"}`. */
  readonly new?: readonly string[];
  /** By the number of the series; null where it has no sample. */
  readonly values: readonly (number | null)[];
}

/** Each recording begins with it. */
export const MAGIC = '{"recording":1,';
/** A longer line is not one of a recording. */
export const MAX_LINE = 32 * 1024 * 1024;
export const MAX_SERIES = 100_000;

/** Metrics of a recording: all that `compare` may read. */
export const RECORDED: ReadonlySet<string> = new Set([
  ...partsOf(termsOf(METRICS)).map(({ metric }) => metric),
  ...Object.values(NAMED_BY).map(({ metric }) => metric),
  'kvm_vm_info',
  'kvm_vm_technique_state',
  'kvm_vm_visibility',
  'kvm_telemetry_trace_sampled_ratio',
]);

/** The file to which a full recording is moved. */
export function olderFile(path: string): string {
  return `${path}.old`;
}
