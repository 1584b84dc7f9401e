import { malformed } from './errors.ts';
import type { Host } from './host.ts';

/**
 * Parses `btime` of `/proc/stat`: the host's boot time in seconds since the epoch.
 *
 * @throws SourceError malformed
 * @see https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat
 */
export function parseBootTime(text: string): number {
  const btime = /^btime (\d{1,15})\n/m.exec(text)?.[1];
  if (btime === undefined) throw malformed('/proc/stat', 'no btime');
  return Number(btime);
}

export function readBootTime(host: Host): number {
  return parseBootTime(host.text(`${host.roots.procfs}/stat`, 16 * 1024 * 1024));
}
