import { type Host, utf8 } from './host.ts';

/** `__SO_ACCEPTCON`, include/linux/net.h: the socket listens. */
const LISTENING = 0x10000;
const LINE =
  /^[0-9a-f]{1,16}: [0-9a-fA-F]{8} [0-9a-fA-F]{8} ([0-9a-fA-F]{8}) [0-9a-fA-F]{4} [0-9a-fA-F]{2} {1,20}(\d{1,20}) (.+)$/;

/**
 * `/proc/<pid>/net/unix`, net/unix/af_unix.c: listening sockets of the process's network namespace with a path. A path
 * is what its owner bound, in his own mount namespace: two sockets may show the same one.
 *
 * @returns inode numbers by path; `socket:[inode]` is how they show among descriptors
 * @see https://man7.org/linux/man-pages/man5/proc_pid_net.5.html
 * @example parseListeningSockets('Num ...\n0000000000000000: 00000002 00000000 00010000 0001 01 21093 /run/q.sock\n')
 */
export function parseListeningSockets(text: string): Map<string, number[]> {
  const sockets = new Map<string, number[]>();
  for (const line of text.split('\n')) {
    if (line.length > 1024) continue;
    const match = LINE.exec(line);
    if (match === null) continue;
    const [, flags = '', inode = '', bytes = ''] = match;
    // As directories are listed, or a name that is not ASCII would never be found.
    const path = utf8(bytes);
    if ((Number.parseInt(flags, 16) & LISTENING) === 0 || !path.startsWith('/')) continue;
    const inodes = sockets.get(path);
    if (inodes === undefined) sockets.set(path, [Number(inode)]);
    else inodes.push(Number(inode));
  }
  return sockets;
}

/** @param pid whose network namespace; `self` for the daemon's own */
export function readListeningSockets(host: Host, pid: number | 'self'): Map<string, number[]> {
  return parseListeningSockets(host.text(`${host.roots.procfs}/${pid}/net/unix`, 16 * 1024 * 1024));
}
