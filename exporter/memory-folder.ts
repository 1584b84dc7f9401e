import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A tmpfs wherever there is one. */
const MEMORY = '/dev/shm';

export interface MemoryFolder {
  /** Begins with the prefix and this process's id. */
  readonly path: string;
  /** Removes it with all that is in it: at the latest when the process exits, which it does not by a signal alone. */
  remove(): void;
}

/** A new folder for thousands of small files that are soon gone: in memory where there is such a place. */
export function memoryFolder(prefix: string): MemoryFolder {
  const parent = existsSync(MEMORY) ? MEMORY : tmpdir();
  removeLeftovers(parent, prefix);
  const path = mkdtempSync(join(parent, `${prefix}${process.pid}-`));
  const remove = (): void => {
    process.off('exit', remove);
    // Somebody may still write into it.
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  };
  process.once('exit', remove);
  return { path, remove };
}

/** A process that was killed leaves its folder, which takes memory. */
function removeLeftovers(parent: string, prefix: string): void {
  for (const name of readdirSync(parent).filter((each) => each.startsWith(prefix))) {
    const pid = /^(\d+)-/.exec(name.slice(prefix.length))?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    rmSync(join(parent, name), { recursive: true, force: true });
  }
}
