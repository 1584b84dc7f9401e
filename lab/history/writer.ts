import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import type { TracefsWriter } from '../../exporter/trace/writer.ts';
import { sourceError } from '../../probes/errors.ts';

/** Writes to a simulated tracefs. Commands take effect before the call returns, as in the kernel. */
export function writerFor(obey: () => void): TracefsWriter {
  const done = async (path: string, work: () => void): Promise<void> => {
    try {
      work();
    } catch (error) {
      throw sourceError(error, path);
    }
    obey();
  };
  return {
    makeDirectory: (path) => done(path, () => mkdirSync(path)),
    // rmdir(2) on tracefs removes an instance with its contents.
    removeDirectory: (path) => done(path, () => rmSync(path, { recursive: true })),
    append: (path, line) => done(path, () => appendFileSync(path, `${line}\n`)),
  };
}
