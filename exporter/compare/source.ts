import { readHttpConfig } from '../prometheus/http-config.ts';
import { HttpClient } from '../prometheus/request.ts';
import { PrometheusServer } from '../prometheus/server.ts';
import { comparisonOf, type Question } from './comparison.ts';
import type { FleetComparison } from './fleet/model.ts';
import { type FleetQuestion, readFleet } from './fleet/read.ts';
import type { Comparison } from './model.ts';
import { PrometheusArchive } from './prometheus-archive.ts';
import { readRecordings } from './recording/recordings.ts';

/** Location of the samples. */
export type Source = ServerSource | { readonly recordings: readonly string[] };
export interface ServerSource {
  readonly url: string;
  readonly httpConfigFile: string | undefined;
}

/** The clock of the server may differ by this much without a note. */
const MAX_SKEW = 30;
/** Time limit of the queries over a fleet, of which there may be thousands. */
const FLEET_MS = 6 * 3600 * 1000;
/** Share of the work for reading files. */
const FILES = 0.9;

/**
 * Reads the samples of the VMs.
 *
 * @param onProgress called with the share of the work that is done
 * @throws ConfigError if the question cannot be answered, PrometheusError if the server cannot
 */
export function compareFrom(
  source: Source,
  question: Question,
  onProgress: (share: number) => void,
): Promise<Comparison> {
  return 'url' in source
    ? fromServer(source, question, onProgress)
    : fromFiles(source.recordings, question, onProgress);
}

function fromServer(
  source: ServerSource,
  question: Question,
  onProgress: (share: number) => void,
): Promise<Comparison> {
  return withServer(source, (server, warnings) =>
    comparisonOf(new PrometheusArchive(server, source.url), question, { onProgress, warnings }),
  );
}

/** Reads the numbers of the hosts of a fleet. @throws as compareFrom */
export function compareFleet(
  source: ServerSource,
  question: FleetQuestion,
  onProgress: (share: number) => void,
): Promise<FleetComparison> {
  return withServer(
    source,
    async (server, warnings) => {
      const comparison = await readFleet(server, source.url, question, onProgress);
      return { ...comparison, notes: [...comparison.notes, ...warnings()] };
    },
    FLEET_MS,
  );
}

async function withServer<T>(
  { url, httpConfigFile }: ServerSource,
  use: (server: PrometheusServer, warnings: () => string[]) => Promise<T>,
  totalMs?: number,
): Promise<T> {
  const client = new HttpClient(httpConfigFile === undefined ? undefined : readHttpConfig(httpConfigFile));
  const warnings = new Set<string>();
  const onWarning = (warning: string): void => void warnings.add(`The server warned: ${warning}`);
  const server = new PrometheusServer({ url, client, onWarning, ...(totalMs !== undefined && { totalMs }) });
  try {
    return await use(server, () => [...warnings, ...skewNotes(server.skewSeconds)]);
  } finally {
    client.close();
  }
}

async function fromFiles(
  recordings: readonly string[],
  question: Question,
  onProgress: (share: number) => void,
): Promise<Comparison> {
  const { archive, notes } = await readRecordings(recordings, question.vm, question.time, (share) =>
    onProgress(FILES * share),
  );
  return comparisonOf(archive, question, {
    onProgress: (share) => onProgress(FILES + (1 - FILES) * share),
    warnings: () => notes,
  });
}

function skewNotes(seconds = 0): string[] {
  if (Math.abs(seconds) <= MAX_SKEW) return [];
  const which = seconds > 0 ? 'ahead of' : 'behind';
  return [
    `The clock of the server is ${Math.round(Math.abs(seconds))} s ${which} the clock of this machine.`,
  ];
}
