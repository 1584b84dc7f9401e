import { constants } from 'node:fs';
import { mkdir, open, rmdir } from 'node:fs/promises';
import { sourceError } from '../../probes/errors.ts';

/**
 * All writes to tracefs. They are asynchronous, as removing a trigger waits for an RCU grace period of tens
 * of milliseconds. Every method throws SourceError.
 */
export interface TracefsWriter {
  makeDirectory(path: string): Promise<void>;
  removeDirectory(path: string): Promise<void>;
  /**
   * Appends a line to an existing file. Opening a trigger file with O_TRUNC would remove all its triggers.
   */
  append(path: string, line: string): Promise<void>;
}

export const tracefsWriter: TracefsWriter = {
  async makeDirectory(path) {
    await mkdir(path).catch(failed(path));
  },

  async removeDirectory(path) {
    await rmdir(path).catch(failed(path));
  },

  async append(path, line) {
    const file = await open(path, constants.O_WRONLY | constants.O_APPEND).catch(failed(path));
    try {
      await file.write(`${line}\n`).catch(failed(path));
    } finally {
      await file.close().catch(failed(path));
    }
  },
};

function failed(path: string): (error: unknown) => never {
  return (error) => {
    throw sourceError(error, path);
  };
}
