import { decimalAt } from './decimal.ts';
import { SourceError } from './errors.ts';
import type { DeviceNumber, Host } from './host.ts';

export interface Mount {
  readonly id: number;
  /** Major 0 is an anonymous device: btrfs, overlay, NFS, tmpfs. */
  readonly device: DeviceNumber;
  readonly mountPoint: string;
  readonly type: string;
  /** What was mounted: `/dev/nvme0n1p1`, or any word, even none, for a file system without a device. */
  readonly source: string;
  /** Of the file system, escaped as the kernel writes them; empty where they name no device and no layer. */
  readonly options: string;
}

// Not \S: in JavaScript 0xa0 is white space, and in UTF-8 it is the second byte of an a with a grave accent.
const LINE =
  /^(\d{1,10}) \d{1,10} (\d{1,5}):(\d{1,8}) [^ ]+ ([^ ]+) [^ ]+ (?:[^ ]+ )*?- ([^ ]+) ([^ ]*) (.*)$/;
/** Two paths of 4096 bytes, each byte escaped, and what stands between: longer is only the options at the end. */
const LINE_CAP = 40_000;

/**
 * `/proc/<pid>/mountinfo`, fs/proc_namespace.c: the mounts that this process sees. A line of another form is passed
 * over, as mount points are other people's names.
 *
 * @see https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
 * @example parseMountinfo('27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n')
 */
export function parseMountinfo(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    const match = LINE.exec(line.slice(0, LINE_CAP));
    if (match === null) continue;
    const [, id = '', major = '', minor = '', mountPoint = '', type = '', source = '', options = ''] = match;
    mounts.push({
      id: decimalAt(id, 0),
      device: { major: decimalAt(major, 0), minor: decimalAt(minor, 0) },
      mountPoint: unescapeOctal(mountPoint),
      type,
      source: unescapeOctal(source),
      // Most are the same few words, and there may be 100,000 mounts.
      options: type === 'overlay' || options.includes('=/dev/') ? options : '',
    });
  }
  return mounts;
}

/** The kernel writes space, tab, newline and backslash as \040 and so on. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** A container's overlay has some 3 KiB of options: 5,000 containers make 15 MiB. */
const CAP = 64 * 1024 * 1024;

/** Off the main thread and bounded. */
export async function readMountinfo(host: Host, pid: number, timeoutMs: number): Promise<Mount[]> {
  const path = `${host.roots.procfs}/${pid}/mountinfo`;
  try {
    return parseMountinfo(await host.slowText(path, CAP, timeoutMs));
  } catch (error) {
    // EINVAL is how the kernel says that a zombie has no mounts any more.
    if (error instanceof SourceError && error.reason === 'EINVAL')
      throw new SourceError('vanished', path, 'EINVAL');
    throw error;
  }
}
