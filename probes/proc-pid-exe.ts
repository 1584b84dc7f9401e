import { ifThere } from './errors.ts';
import { type Host, utf8 } from './host.ts';

/**
 * `/proc/<pid>/exe`: the path of the program as its own mount namespace names it; undefined for a kernel thread, or
 * where the process is gone.
 */
export function readExecutable(host: Host, pid: number): string | undefined {
  return ifThere(() => utf8(host.link(`${host.roots.procfs}/${pid}/exe`)).replace(/ \(deleted\)$/, ''));
}

/** Whether only root can have put the program there: it is root's and nobody else may write to it. */
export async function isExecutableOfRoot(host: Host, pid: number, timeoutMs: number): Promise<boolean> {
  const { mode, uid } = await host.slowStat(`${host.roots.procfs}/${pid}/exe`, timeoutMs);
  return uid === 0 && (mode & 0o022) === 0;
}
