import { type Stats, statSync } from 'node:fs';

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * The reason why another user could place state files in a directory, with the fix; undefined if no other user can,
 * or if the directory does not exist. In a sticky directory of root, such as /tmp, other users can create files, so
 * the reader must check the owner of each file.
 */
export function stateDirectoryProblem(directory: string): string | undefined {
  let stat: Stats;
  try {
    stat = statSync(directory);
  } catch {
    // A missing directory is created later; an inaccessible one is reported when it is used.
    return undefined;
  }
  const { uid, mode } = stat;
  if (!stat.isDirectory()) return undefined;
  if (!isOurs(uid)) return `belongs to another user (uid ${uid}): chown ${process.geteuid?.()} ${directory}`;
  if ((mode & WRITABLE_BY_OTHERS) === 0 || (uid === 0 && (mode & STICKY) !== 0)) return undefined;
  return `may be written by others (mode ${(mode & 0o7777).toString(8)}): chmod go-w ${directory}`;
}

/** Files of root are trusted: no other user can have created them. */
export function isOurs(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.();
}
