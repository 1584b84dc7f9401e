import { append } from '../kernel/maps.ts';
import { type Host, utf8 } from './host.ts';

/** `__SO_ACCEPTCON`, include/linux/net.h: the socket is listening. */
const LISTENING = 0x10000;
const LINE =
  /^[0-9a-f]{1,16}: [0-9a-fA-F]{8} [0-9a-fA-F]{8} ([0-9a-fA-F]{8}) [0-9a-fA-F]{4} [0-9a-fA-F]{2} {1,20}(\d{1,20}) (.+)$/;

/**
 * Parses `/proc/<pid>/net/unix`, net/unix/af_unix.c: the listening sockets with a path in the process's
 * network namespace. The path is as bound in the owner's mount namespace, so it may not be unique.
 *
 * @returns inode numbers by path; a file descriptor of the socket links to `socket:[inode]`
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
    // UTF-8 like directory entries; otherwise a non-ASCII name would never match.
    const path = utf8(bytes);
    if ((Number.parseInt(flags, 16) & LISTENING) !== 0 && path.startsWith('/'))
      append(sockets, path, Number(inode));
  }
  return sockets;
}

/** @param pid process whose network namespace is read; `self` for the daemon's own */
export function readListeningSockets(host: Host, pid: number | 'self'): Map<string, number[]> {
  return parseListeningSockets(host.text(`${host.roots.procfs}/${pid}/net/unix`, 16 * 1024 * 1024));
}
