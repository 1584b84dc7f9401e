import { type Stats, statSync } from 'node:fs';

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Why others could put their own state into a directory, and what to do; undefined where they cannot, or where there is
 * none. In a sticky directory of root's, such as /tmp, others can make files: whose a file is, is for its reader to ask.
 *
 * @param me user id of this process
 */
export function stateDirectoryProblem(
  directory: string,
  me: number | undefined = process.geteuid?.(),
): string | undefined {
  let stat: Stats;
  try {
    stat = statSync(directory);
  } catch {
    // What is not there is made, and what cannot be reached is said when it is used.
    return undefined;
  }
  const { uid, mode } = stat;
  if (!stat.isDirectory()) return undefined;
  if (!isOurs(uid, me)) return `belongs to another user (uid ${uid}): chown ${me} ${directory}`;
  if ((mode & WRITABLE_BY_OTHERS) === 0 || (uid === 0 && (mode & STICKY) !== 0)) return undefined;
  return `may be written by others (mode ${(mode & 0o7777).toString(8)}): chmod go-w ${directory}`;
}

/** What root owns, nobody else has put there. */
export function isOurs(uid: number, me: number | undefined = process.geteuid?.()): boolean {
  return uid === 0 || uid === me;
}
