import { ifThere } from './errors.ts';
import type { Host } from './host.ts';

/**
 * Parses the devices in `/proc/fs/f2fs/<device>/disk_map`, fs/f2fs/sysfs.c. The list is missing if the file
 * system has one device.
 *
 * @example parseDiskMap('Disk: 0 (zoned=0): 0x0000000000 - 0x00000189ff on /dev/sda\n') // ['/dev/sda']
 */
function parseDiskMap(text: string): string[] {
  return [...text.matchAll(/^ ?Disk: *\d+ .* on (\/dev\/.+)$/gm)].map(([, path = '']) => path);
}

/**
 * Paths of all devices of an f2fs file system; empty if it has one.
 *
 * @param device kernel name of the mounted disk or partition
 * @returns undefined if the kernel does not list them: before Linux 6.10
 */
export function readF2fsDevices(host: Host, device: string): string[] | undefined {
  const text = ifThere(() => host.text(`${host.roots.procfs}/fs/f2fs/${device}/disk_map`));
  return text === undefined ? undefined : parseDiskMap(text);
}
