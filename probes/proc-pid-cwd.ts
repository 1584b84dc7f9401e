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
