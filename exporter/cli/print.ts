import { pipeline } from 'node:stream/promises';

/** Standard output cannot be written. */
export class OutputError extends Error {}

/** Prints text. @throws OutputError unless the reader, such as `head`, closed the pipe early */
export async function print(chunks: Iterable<string> | AsyncIterable<Buffer>): Promise<void> {
  try {
    await pipeline(chunks, process.stdout, { end: false });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'EPIPE') throw new OutputError(`cannot write to standard output: ${code ?? message}`);
  }
}
