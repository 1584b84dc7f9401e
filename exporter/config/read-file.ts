import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** More than any configuration or chain of certificates needs. */
const CAP = 4 * 1024 * 1024;

/**
 * Reads a file that the operator names. What is no regular file (a FIFO, /dev/zero, a directory) could keep the process
 * waiting for ever, or fill its memory.
 *
 * @throws Error that says why, in a clause
 */
export function readNamedFile(path: string): Buffer {
  const fd = opened(path);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new Error(`${kindOf(stat)}: give a regular file`);
    return readUpTo(fd, CAP);
  } catch (error) {
    throw inWords(error);
  } finally {
    closeSync(fd);
  }
}

function opened(path: string): number {
  try {
    // O_NONBLOCK: opening a FIFO would wait for its writer.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw inWords(error);
  }
}

/** Until its end, which is not where its size says: files of procfs have none. */
function readUpTo(fd: number, cap: number): Buffer {
  const chunks: Buffer[] = [];
  for (let length = 0; ; ) {
    const chunk = Buffer.alloc(64 * 1024);
    const got = readSync(fd, chunk, 0, chunk.length, null);
    if (got === 0) return Buffer.concat(chunks);
    length += got;
    if (length > cap) throw new Error(`more than ${cap} bytes`);
    chunks.push(chunk.subarray(0, got));
  }
}

interface FileKind {
  isDirectory(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
}

function kindOf(stat: FileKind): string {
  if (stat.isDirectory()) return 'a directory';
  if (stat.isFIFO()) return 'a FIFO';
  return stat.isSocket() ? 'a socket' : 'a device';
}

function inWords(error: unknown): Error {
  const { code } = error as NodeJS.ErrnoException;
  // A socket cannot be opened.
  if (code === 'ENXIO') return new Error('no regular file');
  return code === undefined && error instanceof Error ? error : new Error(String(code));
}
