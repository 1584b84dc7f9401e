import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A tmpfs wherever there is one. */
const MEMORY = '/dev/shm';

export interface MemoryFolder {
  readonly path: string;
  /** Removes it with all that is in it: at the latest when the process exits, which it does not by a signal alone. */
  remove(): void;
}

/** A new folder for thousands of small files that are soon gone: in memory where there is such a place. */
export function memoryFolder(prefix: string): MemoryFolder {
  const path = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), prefix));
  const remove = (): void => {
    process.off('exit', remove);
    // Somebody may still write into it.
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  };
  process.once('exit', remove);
  return { path, remove };
}
