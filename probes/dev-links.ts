import { dirname, posix } from 'node:path';
import { isExhausted } from './errors.ts';
import type { Host } from './host.ts';

/** udev makes one link to each device: `/dev/disk/by-id/X`, `/dev/vg/lv`. */
const MAX_LINKS = 8;

/**
 * The device node to which a path in the host's /dev leads. A mount option shows the path that the
 * administrator wrote.
 *
 * @returns undefined if the path is no link, is missing, or leads out of /dev
 * @example resolveDevLink(host, '/dev/disk/by-id/nvme-eui.0025') // '/dev/nvme0n1'
 */
export function resolveDevLink(host: Host, path: string): string | undefined {
  const { procfs } = host.roots;
  // procfs is /proc, or that of a host whose root is mounted elsewhere. In a copy of a host, process 1 may
  // have the root of this host.
  const roots = host.isLive ? [dirname(procfs), `${procfs}/1/root`] : [dirname(procfs)];
  for (const root of roots) {
    const node = follow(host, root, path);
    if (node !== undefined) return node;
  }
  return undefined;
}

function follow(host: Host, root: string, path: string): string | undefined {
  let at = posix.normalize(path);
  for (let links = 0; at.startsWith('/dev/') && links < MAX_LINKS; links++) {
    const next = target(host, posix.join(root, at));
    if (next === undefined) return links === 0 ? undefined : at;
    at = posix.resolve(posix.dirname(at), next);
  }
  return undefined;
}

/** undefined if there is no such link, or if it cannot be read: the device is unknown then. */
function target(host: Host, path: string): string | undefined {
  try {
    return host.link(path);
  } catch (error) {
    if (isExhausted(error)) throw error;
    return undefined;
  }
}
