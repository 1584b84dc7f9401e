import { ifThere } from './errors.ts';
import type { Host } from './host.ts';

/**
 * Kernel names of the devices of each mounted file system that may have several. btrfs links them in
 * `/sys/fs/btrfs/<uuid>/devices`, bcachefs in `/sys/fs/bcachefs/<uuid>/dev-<N>/block`. mountinfo shows only
 * one of them, or those given to mount.
 *
 * @returns one list per file system
 * @see https://docs.kernel.org/admin-guide/abi-testing.html
 */
export function readFileSystemDevices(host: Host): string[][] {
  const base = `${host.roots.sysfs}/fs`;
  const btrfs = entries(host, `${base}/btrfs`).map((uuid) => entries(host, `${base}/btrfs/${uuid}/devices`));
  const bcachefs = entries(host, `${base}/bcachefs`).map((uuid) =>
    entries(host, `${base}/bcachefs/${uuid}`)
      .filter((name) => name.startsWith('dev-'))
      .flatMap((name) => lastName(host, `${base}/bcachefs/${uuid}/${name}/block`) ?? []),
  );
  return [...btrfs, ...bcachefs].filter((devices) => devices.length > 0);
}

function entries(host: Host, path: string): string[] {
  return (ifThere(() => host.entries(path)) ?? []).sort();
}

function lastName(host: Host, path: string): string | undefined {
  return ifThere(() => host.link(path))
    ?.split('/')
    .at(-1);
}
