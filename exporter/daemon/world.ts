import { type TracefsWriter, tracefsWriter } from '../trace/writer.ts';

/**
 * The exporter's dependencies on the machine other than the host's files. Injected, so that a simulated host
 * can run in virtual time.
 */
export interface World {
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** Milliseconds of the epoch. */
  epochMs(): number;
  /** Process id of the exporter. */
  readonly pid: number;
  readonly writer: TracefsWriter;
}

export const realWorld: World = {
  now: () => performance.now(),
  epochMs: () => Date.now(),
  pid: process.pid,
  writer: tracefsWriter,
};
