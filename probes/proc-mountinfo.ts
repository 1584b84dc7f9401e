import { decimalAt } from '../kernel/decimal.ts';
import { SourceError } from './errors.ts';
import type { DeviceNumber, Host } from './host.ts';

export interface Mount {
  readonly id: number;
  /** Major 0 is an anonymous device: btrfs, overlay, NFS, tmpfs. */
  readonly device: DeviceNumber;
  /** The part of the file system that is mounted; `/` except for bind mounts and subvolumes. */
  readonly root: string;
  readonly mountPoint: string;
  readonly type: string;
  /** The mounted device, such as `/dev/nvme0n1p1`. For a file system without a device: any word, or empty. */
  readonly source: string;
  /** Options of the file system, escaped by the kernel; empty if they name neither a device nor a layer. */
  readonly options: string;
}

// Not \S: JavaScript treats 0xa0 as white space, and it is also the second byte of UTF-8 "a with grave".
const LINE =
  /^(\d{1,10}) \d{1,10} (\d{1,5}):(\d{1,8}) ([^ ]+) ([^ ]+) [^ ]+ (?:[^ ]+ )*?- ([^ ]+) ([^ ]*) (.*)$/;
/** Two paths of 4096 bytes, each byte escaped, and the rest. Only the options at the end can exceed it. */
const LINE_CAP = 40_000;

/**
 * Parses `/proc/<pid>/mountinfo`, fs/proc_namespace.c: the mounts that this process sees. Skips malformed
 * lines, since mount points are untrusted names.
 *
 * @see https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
 * @example parseMountinfo('27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n')
 */
export function parseMountinfo(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    const match = LINE.exec(line.slice(0, LINE_CAP));
    if (match === null) continue;
    const [, id = '', major = '', minor = '', root = '', mountPoint = ''] = match;
    const [type = '', source = '', options = ''] = match.slice(6);
    mounts.push({
      id: decimalAt(id, 0),
      device: { major: decimalAt(major, 0), minor: decimalAt(minor, 0) },
      root: unescapeOctal(root),
      mountPoint: unescapeOctal(mountPoint),
      type,
      source: unescapeOctal(source),
      // Most options are the same few words, and there may be 100,000 mounts.
      options: type === 'overlay' || options.includes('=/dev/') ? options : '',
    });
  }
  return mounts;
}

/** The kernel writes space, tab, newline and backslash as \040 and so on. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** A container's overlay has about 3 KiB of options: 5,000 containers give 15 MiB. */
const CAP = 64 * 1024 * 1024;

/** Reads off the main thread, with a timeout. */
export async function readMountinfo(host: Host, pid: number, timeoutMs: number): Promise<Mount[]> {
  const path = `${host.roots.procfs}/${pid}/mountinfo`;
  try {
    return parseMountinfo(await host.slowText(path, CAP, timeoutMs));
  } catch (error) {
    // For a zombie, which has no mounts, the kernel returns EINVAL.
    if (error instanceof SourceError && error.code === 'EINVAL')
      throw new SourceError('vanished', path, 'EINVAL', error.code);
    throw error;
  }
}
