import { parentPort, workerData } from 'node:worker_threads';
import { makeReport, type ReportRequest } from './report.ts';

/** Makes a report in a worker thread, because it occupies a CPU for seconds. */
parentPort?.postMessage(await makeReport(workerData as ReportRequest));
