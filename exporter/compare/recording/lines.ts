import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { ConfigError } from '../../config/load.ts';

export interface Line {
  readonly text: string;
  /** From 1. */
  readonly number: number;
  /** Whether the line ends with a newline. The last one of a file may not. */
  readonly isWhole: boolean;
  /** Share of the file up to its end. */
  readonly share: number;
}

const CHUNK = 256 * 1024;

/** Time of the last write to a file, in seconds of the epoch. @throws ConfigError */
export async function timeOfFile(path: string): Promise<number> {
  return withFile(path, async (handle) => (await handle.stat()).mtimeMs / 1000);
}

/** Reads a file line by line. @throws ConfigError also for a line that is longer than `most` bytes */
export async function* linesOf(path: string, most: number): AsyncGenerator<Line> {
  const handle = await opened(path);
  try {
    const { size } = await handle.stat();
    const pending: Buffer[] = [];
    let [number, length, done] = [0, 0, 0];
    const chunk = Buffer.alloc(CHUNK);
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, CHUNK, null);
      if (bytesRead === 0) break;
      let from = 0;
      const bytes = chunk.subarray(0, bytesRead);
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
        pending.push(bytes.subarray(from, end));
        from = end + 1;
        const text = Buffer.concat(pending).toString();
        pending.length = 0;
        length = 0;
        yield { text, number: ++number, isWhole: true, share: Math.min(1, (done + from) / size) };
      }
      // Copy, because the next read overwrites the chunk.
      pending.push(Buffer.from(bytes.subarray(from)));
      length += bytesRead - from;
      done += bytesRead;
      if (length > most) throw new ConfigError(`${path}: line ${number + 1} is longer than ${most} bytes`);
    }
    if (length > 0)
      yield { text: Buffer.concat(pending).toString(), number: ++number, isWhole: false, share: 1 };
  } catch (error) {
    throw inWords(error, path);
  } finally {
    await handle.close();
  }
}

type Handle = Awaited<ReturnType<typeof open>>;

async function withFile<T>(path: string, work: (handle: Handle) => Promise<T>): Promise<T> {
  const handle = await opened(path);
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}

async function opened(path: string): Promise<Handle> {
  let handle: Handle;
  try {
    // O_NONBLOCK: otherwise opening a FIFO blocks until there is a writer.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw inWords(error, path);
  }
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new ConfigError(`--recording: ${path} is not a regular file: give the path of a file`);
}

function inWords(error: unknown, path: string): Error {
  if (error instanceof ConfigError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  return new ConfigError(`--recording: cannot read ${path}: ${code ?? message}`);
}
