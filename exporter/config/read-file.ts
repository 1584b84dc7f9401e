import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** Larger than any real configuration or certificate chain. */
const CAP = 4 * 1024 * 1024;

/**
 * Reads a file that the operator configured. Only regular files are accepted: a FIFO could block the process
 * forever, and /dev/zero could fill its memory.
 *
 * @throws Error whose message is a clause with the reason
 */
export function readNamedFile(path: string, cap = CAP): Buffer {
  const fd = opened(path);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new Error(`${kindOf(stat)}: give a regular file`);
    return readUpTo(fd, cap);
  } catch (error) {
    throw inWords(error);
  } finally {
    closeSync(fd);
  }
}

/** Standard input up to its end. @throws Error as {@link readNamedFile} */
export function readStandardInput(cap: number): Buffer {
  try {
    return readUpTo(0, cap);
  } catch (error) {
    throw inWords(error);
  }
}

function opened(path: string): number {
  try {
    // O_NONBLOCK: otherwise opening a FIFO blocks until there is a writer.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw inWords(error);
  }
}

/** Reads to the end of the file. Its size cannot be used, because procfs files report none. */
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
  // open() of a socket fails with ENXIO.
  if (code === 'ENXIO') return new Error('not a regular file');
  return code === undefined && error instanceof Error ? error : new Error(String(code));
}
