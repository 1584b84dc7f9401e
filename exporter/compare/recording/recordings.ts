import { ConfigError } from '../../config/load.ts';
import type { Archive } from '../archive.ts';
import { MemoryArchive } from '../memory-archive.ts';
import type { Span } from '../model.ts';
import { Kept } from './kept.ts';
import { isRecording, readRecording } from './read-recording.ts';

export interface Recordings {
  readonly archive: Archive;
  /** Faults of the files, as sentences. */
  readonly notes: readonly string[];
}

/** A period needs the scrape before it: at least one of those in this many seconds. */
const BEFORE = 600;

/** Whether files are saved outputs of /metrics, and not recordings. @throws ConfigError if they are mixed */
export async function areSavedOutputs(paths: readonly string[]): Promise<boolean> {
  const kinds = new Set<boolean>();
  for (const path of paths) kinds.add(await isRecording(path));
  if (kinds.size > 1)
    throw new ConfigError(
      '--recording: recordings and saved outputs of /metrics do not go together: give one kind',
    );
  return kinds.has(false);
}

/**
 * Reads the recordings of one or several hosts.
 *
 * @param vm pattern of the VMs
 * @param onProgress called with the share that is done
 * @throws ConfigError
 */
export async function readRecordings(
  paths: readonly string[],
  vm: string,
  { start, end }: Span,
  onProgress: (share: number) => void,
): Promise<Recordings> {
  const kept = new Kept(vm, { start: start - BEFORE, end });
  const notes: string[] = [];
  for (const [i, path] of paths.entries()) {
    const report = (share: number): void => onProgress((i + share) / paths.length);
    const { incomplete, late } = await readRecording(path, kept, report);
    if (incomplete > 0) notes.push(`${path}: ${scrapes(incomplete)} incomplete, and left out.`);
    if (late > 0)
      notes.push(`${path}: ${scrapes(late)} left out, because the clock of the host was set back.`);
  }
  return { archive: new MemoryArchive(paths.join(', '), kept.series), notes };
}

function scrapes(count: number): string {
  return count === 1 ? 'one scrape is' : `${count} scrapes are`;
}
