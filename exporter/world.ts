import { type TracefsWriter, tracefsWriter } from './trace/writer.ts';

/** What the exporter has of the machine besides the host's files: given, so that a simulated host can live in virtual time. */
export interface World {
  /** Milliseconds of a clock that never jumps. */
  now(): number;
  /** The process that looks at the host. */
  readonly pid: number;
  readonly writer: TracefsWriter;
  /** Time stands still while anything is read, so what is otherwise read in the background is waited for. */
  readonly isVirtual: boolean;
}

export const realWorld: World = {
  now: () => performance.now(),
  pid: process.pid,
  writer: tracefsWriter,
  isVirtual: false,
};
