import { Worker } from 'node:worker_threads';
import type { ReportRequest, ReportResult } from './report.ts';

const THREAD = new URL('./report-thread.js', import.meta.url);
/** With this a report fails before the daemon exceeds the memory that its unit allows. */
const MAX_HEAP_MB = 256;

/** A report in progress. */
export interface ReportWork {
  readonly result: Promise<ReportResult>;
  /** Stops it. There is then no report. */
  cancel(): void;
}

/** Makes a report in a thread of its own, with a limit of its memory. */
export function reportInThread(request: ReportRequest): ReportWork {
  const thread = new Worker(THREAD, {
    workerData: request,
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  thread.unref();
  const result = new Promise<ReportResult>((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', (error: NodeJS.ErrnoException) => reject(inWords(error)));
    thread.once('exit', () => resolve({ nothing: 'the daemon stops' }));
  });
  return { result, cancel: () => void thread.terminate() };
}

function inWords(error: NodeJS.ErrnoException): Error {
  if (error.code !== 'ERR_WORKER_OUT_OF_MEMORY') return error;
  return new Error(
    `report: the samples need more than ${MAX_HEAP_MB} MiB: shorten report.last, or set report.vm to fewer VMs`,
  );
}
