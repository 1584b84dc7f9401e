import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A tmpfs wherever there is one. */
const MEMORY = '/dev/shm';

/** A new folder for thousands of small files that are soon gone: in memory where there is such a place. */
export function memoryFolder(prefix: string): string {
  return mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), prefix));
}
