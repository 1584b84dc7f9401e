import { ifThere } from './errors.ts';
import { type Host, utf8 } from './host.ts';

/**
 * Reads `/proc/<pid>/exe`: the path of the program in the process's mount namespace; undefined for a kernel
 * thread or if the process has exited.
 */
export function readExecutable(host: Host, pid: number): string | undefined {
  return ifThere(() => utf8(host.link(`${host.roots.procfs}/${pid}/exe`)).replace(/ \(deleted\)$/, ''));
}

/** Whether only root can have installed the program: root owns the file and nobody else may write to it. */
export async function isExecutableOfRoot(host: Host, pid: number, timeoutMs: number): Promise<boolean> {
  const { mode, uid } = await host.slowStat(`${host.roots.procfs}/${pid}/exe`, timeoutMs);
  return uid === 0 && (mode & 0o022) === 0;
}
