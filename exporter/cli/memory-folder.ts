import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A tmpfs on every common distribution. */
const MEMORY = '/dev/shm';

export interface MemoryFolder {
  /** Starts with the prefix and the id of this process. */
  readonly path: string;
  /**
   * Removes the folder and its contents. Also runs at process exit, but not if a signal kills the process.
   */
  remove(): void;
}

/** Creates a folder for thousands of short-lived small files: in /dev/shm if it exists. */
export function memoryFolder(prefix: string): MemoryFolder {
  const parent = existsSync(MEMORY) ? MEMORY : tmpdir();
  removeLeftovers(parent, prefix);
  const path = mkdtempSync(join(parent, `${prefix}${process.pid}-`));
  const remove = (): void => {
    process.off('exit', remove);
    // Another thread may still be writing into the folder.
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  };
  process.once('exit', remove);
  return { path, remove };
}

/** A killed process leaves its folder behind, which uses memory. */
function removeLeftovers(parent: string, prefix: string): void {
  for (const name of readdirSync(parent).filter((each) => each.startsWith(prefix))) {
    const pid = /^(\d+)-/.exec(name.slice(prefix.length))?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    rmSync(join(parent, name), { recursive: true, force: true });
  }
}
