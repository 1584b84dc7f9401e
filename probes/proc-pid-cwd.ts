import { isAbsolute, join } from 'node:path';
import { type Host, utf8 } from './host.ts';

/** `/proc/<pid>/cwd`: the working directory relative to the process's root; undefined if not available. */
export function readWorkingDirectory(host: Host, pid: number): string | undefined {
  try {
    const path = utf8(host.link(`${host.roots.procfs}/${pid}/cwd`));
    return path.startsWith('/') && !path.endsWith(' (deleted)') ? path : undefined;
  } catch {
    return undefined;
  }
}

/** A path of the process's command line, resolved if it is relative and the working directory is known. */
export function absolutePath(host: Host, pid: number, path: string): string {
  const directory = isAbsolute(path) ? undefined : readWorkingDirectory(host, pid);
  return directory === undefined ? path : join(directory, path);
}
