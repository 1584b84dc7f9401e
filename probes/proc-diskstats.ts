import { malformed } from './errors.ts';
import type { DeviceNumber, Host } from './host.ts';

/**
 * Parses device numbers by name from `/proc/diskstats`, block/genhd.c diskstats_show(). It is the only source
 * for the number of a hidden NVMe path, which identifies the path's requests in trace events. The counters on
 * each line are those of /sys/block/X/stat.
 *
 * @throws SourceError malformed
 * @see https://docs.kernel.org/admin-guide/iostats.html
 * @example parseDiskstats(' 259       0 nvme0c0n1 26000 0 207979 ...\n') // nvme0c0n1: { major: 259, minor: 0 }
 */
export function parseDiskstats(text: string): Map<string, DeviceNumber> {
  const numbers = new Map<string, DeviceNumber>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, major, minor, name] = /^ *(\d{1,4}) +(\d{1,7}) (\S+) /.exec(line) ?? [];
    if (name === undefined) throw malformed('/proc/diskstats', line);
    numbers.set(name, { major: Number(major), minor: Number(minor) });
  }
  return numbers;
}

export function readDiskstats(host: Host): Map<string, DeviceNumber> {
  return parseDiskstats(host.text(`${host.roots.procfs}/diskstats`));
}
