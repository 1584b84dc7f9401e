import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
  statfsSync,
  statSync,
} from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MIB } from '../kernel/units.ts';
import { SourceError, sourceError } from './errors.ts';
import { inPoolTime } from './in-time.ts';
import { type FileKind, kindBelow, openBelow } from './rooted-file.ts';

/** Directories to read. Flags set them, so that a container, a test and a replay differ only in flags. */
export interface Roots {
  readonly procfs: string;
  readonly sysfs: string;
  readonly debugfs: string;
  readonly tracefs: string;
  /** Run-time state of libvirt's QEMU driver, `/run/libvirt/qemu`. */
  readonly libvirt: string;
  /** Definitions of persistent domains, `/etc/libvirt/qemu`. */
  readonly libvirtConfig: string;
  /** Configuration of Proxmox VE, `/etc/pve`: a file system in user space. */
  readonly pve: string;
  /** Run-time state of Proxmox VE's VMs, `/run/qemu-server`. */
  readonly pveRun: string;
  /** Rows of BPF iterators in files; undefined to run the iterators. */
  readonly bpf?: string | undefined;
}

/** A block device number, split as in `dev_t`. */
export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

export interface FileStat {
  readonly mode: number;
  readonly uid: number;
  readonly mtimeMs: number;
  readonly inode: number;
}

/**
 * All file access of the probes. Every method throws {@link SourceError} and nothing else. File content and
 * link targets are decoded as latin1, one byte per character: the cheapest decoding, and lossless. Use {@link
 * utf8} for names. Paths, including those that `entries` returns, are UTF-8.
 */
export interface Host {
  readonly roots: Roots;
  /** False for a copy or a simulation of a host: its processes are not those of the running kernel. */
  readonly isLive: boolean;
  /** Reads a file that the kernel returns in one read (single_open, simple_attr, sysfs); at most 64 KiB. */
  attribute(path: string): string;
  /** Like `attribute`, for a file with one unsigned decimal and a newline; undefined for anything else. */
  decimal(path: string): number | undefined;
  /** Reads at most the first `length` bytes of such a file. */
  head(path: string, length: number): string;
  /** Reads a file of any length to its end; more than `cap` bytes is `too_large`. */
  text(path: string, cap?: number): string;
  /** Reads a file of any length in pieces. A piece is valid until the next one is requested. */
  pieces(path: string): Generator<Buffer>;
  /** Names in a directory, in the kernel's order. */
  entries(path: string): string[];
  /** Target of a symbolic link. */
  link(path: string): string;
  /** Permission bits, owner, change time and inode of the entry itself; does not follow links. */
  stat(path: string): FileStat;
  /** Device number of a block device node; undefined for any other file, or if procfs is a copy. */
  blockDevice(path: string): DeviceNumber | undefined;
  /** Like `text`, for reads that can block in the kernel (mmap_lock): off the main thread, with timeout. */
  slowText(path: string, cap: number, timeoutMs: number): Promise<string>;
  /** Like `slowText`, for the first `cap` bytes of a file that may be longer. */
  slowHead(path: string, cap: number, timeoutMs: number): Promise<{ text: string; isWhole: boolean }>;
  /** Like `slowHead`, for a file system in user space, which may hang forever: at most one such read at a time. */
  userSpaceHead(path: string, cap: number, timeoutMs: number): Promise<{ text: string; isWhole: boolean }>;
  /** Reads a regular file below the process's root and never outside it, with a timeout. */
  textOfProcess(pid: number, path: string, cap: number, timeoutMs: number): Promise<string>;
  /** The kind of entry at a path in a folder below the process's root, with a timeout. Reads no file. */
  kindOfProcessFile(pid: number, folder: string, path: string, timeoutMs: number): Promise<FileKind>;
  /** Like `stat`, but follows links. For files that may be on an unresponsive network file system. */
  slowStat(path: string, timeoutMs: number): Promise<FileStat>;
}

const PROC_SUPER_MAGIC = 0x9fa0;
const ATTRIBUTE_CAP = 64 * 1024;
/** For a large file the kernel returns as much per read as the buffer can hold. */
const PIECE = 128 * 1024;
/** More than the 20 digits of a u64 and a newline. */
const DECIMAL_CAP = 32;
/** Initial buffer size. Most files are small, and `cap` bytes per VM would cause garbage collections. */
const SLOW_READ = 16 * 1024;
/** libuv has four pool threads and zlib needs one. Kernel files whose read hangs occupy at most two. */
const MAX_SLOW_READS = 2;
/**
 * Reads of a process's own files may occupy the third thread, so an unresponsive file system of one VM does
 * not block the discovery of the others.
 */
const MAX_PROCESS_READS = 1;
/** One of the slow reads, so that the other kernel files keep a thread. */
const MAX_USER_SPACE_READS = 1;
// O_NONBLOCK: a FIFO in place of a regular file must not block the daemon.
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Decodes a name that {@link Host} read as latin1: UTF-8, invalid bytes become U+FFFD. */
export function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8');
}

/**
 * The real host, with one shared buffer. Synchronous reads are 16 to 90 times cheaper than promises.
 *
 * @param wait waits for a slow read
 */
export function createHost(roots: Roots, wait: typeof inPoolTime = inPoolTime): Host {
  let buffer = Buffer.allocUnsafeSlow(ATTRIBUTE_CAP);
  const slowReads = { under: 0, most: MAX_SLOW_READS };
  const processReads = { under: 0, most: MAX_PROCESS_READS };
  const userSpaceReads = { under: 0, most: MAX_USER_SPACE_READS };
  const procfsIsLive = isProcfs(roots.procfs);

  function text(path: string, cap: number): string {
    const fd = opened(path);
    try {
      let length = 0;
      for (;;) {
        const got = readSync(fd, buffer, length, buffer.length - length, null);
        if (got === 0) return buffer.toString('latin1', 0, length);
        length += got;
        if (length > cap) throw new SourceError('too_large', path, `more than ${cap} bytes`);
        if (length === buffer.length) buffer = grown(buffer);
      }
    } catch (error) {
      throw sourceError(error, path);
    } finally {
      closeSync(fd);
    }
  }

  /** Reads at most `limit` bytes into the shared buffer. Returns the number of bytes. */
  function fill(path: string, limit: number): number {
    const fd = opened(path);
    try {
      return readSync(fd, buffer, 0, limit, null);
    } catch (error) {
      throw sourceError(error, path);
    } finally {
      closeSync(fd);
    }
  }

  async function slowly<T>(
    path: string,
    timeoutMs: number,
    work: () => Promise<T>,
    slots = [slowReads],
  ): Promise<T> {
    const full = slots.find(({ under, most }) => under >= most);
    if (full !== undefined)
      throw new SourceError('timeout', path, `${full.most} earlier reads of such files still hang`);
    for (const each of slots) each.under++;
    const working = work().finally(() => {
      for (const each of slots) each.under--;
    });
    return wait(
      working,
      timeoutMs,
      () => new SourceError('timeout', path, `no response in ${Math.round(timeoutMs)} ms`),
      () => stat('/proc'),
    );
  }

  return {
    roots,
    isLive: procfsIsLive,

    attribute(path) {
      const length = fill(path, ATTRIBUTE_CAP);
      if (length === ATTRIBUTE_CAP)
        throw new SourceError('too_large', path, `${ATTRIBUTE_CAP} bytes or more`);
      return buffer.toString('latin1', 0, length);
    },

    decimal(path) {
      return decimalIn(buffer, fill(path, DECIMAL_CAP));
    },

    head(path, length) {
      return buffer.toString('latin1', 0, fill(path, Math.min(length, ATTRIBUTE_CAP)));
    },

    text(path, cap = MIB) {
      return text(path, cap);
    },

    *pieces(path) {
      const fd = opened(path);
      // Not the shared buffer: other reads run between two pieces.
      const piece = Buffer.allocUnsafe(PIECE);
      try {
        for (;;) {
          const got = readSync(fd, piece, 0, PIECE, null);
          if (got === 0) return;
          yield piece.subarray(0, got);
        }
      } catch (error) {
        throw sourceError(error, path);
      } finally {
        closeSync(fd);
      }
    },

    entries(path) {
      try {
        return readdirSync(path);
      } catch (error) {
        throw sourceError(error, path);
      }
    },

    link(path) {
      try {
        return readlinkSync(path, 'latin1');
      } catch (error) {
        throw sourceError(error, path);
      }
    },

    stat(path) {
      try {
        return fileStat(lstatSync(path));
      } catch (error) {
        throw sourceError(error, path);
      }
    },

    blockDevice(path) {
      if (!procfsIsLive) return undefined;
      try {
        const stat = statSync(path);
        return stat.isBlockDevice() ? splitDeviceNumber(stat.rdev) : undefined;
      } catch (error) {
        throw sourceError(error, path);
      }
    },

    slowText(path, cap, timeoutMs) {
      return slowly(path, timeoutMs, async () => {
        const { text, isWhole } = await readHead(path, opening(path), cap);
        if (!isWhole) throw new SourceError('too_large', path, `more than ${cap} bytes`);
        return text;
      });
    },

    slowHead(path, cap, timeoutMs) {
      return slowly(path, timeoutMs, () => readHead(path, opening(path), cap));
    },

    userSpaceHead(path, cap, timeoutMs) {
      const read = () => readHead(path, opening(path), cap);
      return slowly(path, timeoutMs, read, [slowReads, userSpaceReads]);
    },

    textOfProcess(pid, path, cap, timeoutMs) {
      const shown = `${roots.procfs}/${pid}/root${path}`;
      const read = async (): Promise<string> => {
        const open = async (): Promise<FileHandle> => {
          const { root, prefix } = rootOf(roots.procfs, pid, procfsIsLive);
          return openBelow(root, `${prefix}/${path}`);
        };
        const opened = open().catch((error: unknown) => {
          throw sourceError(error, shown);
        });
        const { text, isWhole } = await readHead(shown, opened, cap);
        if (!isWhole) throw new SourceError('too_large', shown, `more than ${cap} bytes`);
        return text;
      };
      return slowly(shown, timeoutMs, read, [processReads]);
    },

    kindOfProcessFile(pid, folder, path, timeoutMs) {
      const shown = `${roots.procfs}/${pid}/root${folder}`;
      const find = async (): Promise<FileKind> => {
        try {
          const { root, prefix } = rootOf(roots.procfs, pid, procfsIsLive);
          return await kindBelow(root, `${prefix}/${folder}`, path);
        } catch (error) {
          throw sourceError(error, shown);
        }
      };
      return slowly(shown, timeoutMs, find, [processReads]);
    },

    slowStat(path, timeoutMs) {
      return slowly(path, timeoutMs, async () => {
        const found = await stat(path).catch((error: unknown) => {
          throw sourceError(error, path);
        });
        return fileStat(found);
      });
    },
  };
}

function fileStat({ mode, uid, mtimeMs, ino }: Stats): FileStat {
  return { mode: mode & 0o7777, uid, mtimeMs, inode: ino };
}

function opened(path: string): number {
  try {
    return openSync(path, FLAGS);
  } catch (error) {
    throw sourceError(error, path);
  }
}

/** Parses from bytes: creating a string costs more than the number. */
function decimalIn(bytes: Buffer, length: number): number | undefined {
  const end = bytes[length - 1] === 10 ? length - 1 : length;
  if (end === 0 || end > 20) return undefined;
  let value = 0;
  for (let i = 0; i < end; i++) {
    const digit = (bytes[i] ?? 0) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}

function grown(buffer: Buffer): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafeSlow(buffer.length * 2);
  buffer.copy(larger);
  return larger;
}

/** In a copy of a host, a process's root is a directory, or a link that would lead out of the copy. */
function rootOf(procfs: string, pid: number, isLive: boolean): { root: string; prefix: string } {
  const root = `${procfs}/${pid}/root`;
  if (isLive || !lstatSync(root).isSymbolicLink()) return { root, prefix: '' };
  return { root: dirname(procfs), prefix: readlinkSync(root) };
}

function opening(path: string): Promise<FileHandle> {
  return open(path, FLAGS).catch((error: unknown) => {
    throw sourceError(error, path);
  });
}

/** Reads the first `cap` bytes and closes the file. */
async function readHead(
  path: string,
  opened: Promise<FileHandle>,
  cap: number,
): Promise<{ text: string; isWhole: boolean }> {
  const handle = await opened;
  try {
    let chunk: Buffer<ArrayBuffer> = Buffer.allocUnsafeSlow(Math.min(cap + 1, SLOW_READ));
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(chunk, length, chunk.length - length, null);
      length += bytesRead;
      const isWhole = length <= cap;
      if (bytesRead === 0 || !isWhole)
        return { text: chunk.toString('latin1', 0, Math.min(length, cap)), isWhole };
      if (length === chunk.length) chunk = grown(chunk);
    }
  } catch (error) {
    throw sourceError(error, path);
  } finally {
    await handle.close();
  }
}

function isProcfs(path: string): boolean {
  try {
    return statfsSync(path).type === PROC_SUPER_MAGIC;
  } catch {
    return false;
  }
}

/** Same as glibc's gnu_dev_major and gnu_dev_minor. */
function splitDeviceNumber(rdev: number): DeviceNumber {
  const high = Math.floor(rdev / 2 ** 32);
  const low = rdev >>> 0;
  return {
    major: ((low >>> 8) & 0xfff) | (high & 0xfffff000),
    minor: (low & 0xff) | ((low >>> 12) & 0xfff00),
  };
}
