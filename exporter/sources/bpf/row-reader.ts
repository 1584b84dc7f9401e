import { dirname, join } from 'node:path';
import { MAX_ROW_BYTES } from '../../../probes/bpf/iterator.ts';
import { SourceError } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';

/** Reads rows: an iterator in the kernel, or a file in a copy of a host. */
export interface RowReader {
  /** The object that is loaded; undefined for a file. */
  readonly object?: string;
  /** The reason why no better object is loaded. */
  readonly lacks?: SourceError | undefined;
  /** @param pids processes whose rows are needed; there may be others */
  read(pids: ReadonlySet<number>): Buffer;
  close(): void;
}

/** A copy of a host has its rows in files, if it has any; undefined for this host. */
export function rowsFolder({ isLive, roots }: Host): string | undefined {
  return roots.bpf ?? (isLive ? undefined : join(dirname(roots.procfs), 'bpf'));
}

/** Reads a file with the output of an iterator. @throws SourceError if there is none */
export function fileReader(host: Host, path: string): RowReader {
  host.stat(path);
  return {
    read() {
      const pieces: Buffer[] = [];
      let length = 0;
      for (const piece of host.pieces(path)) {
        length += piece.length;
        if (length > MAX_ROW_BYTES)
          throw new SourceError('too_large', path, `more than ${MAX_ROW_BYTES} bytes`);
        pieces.push(Buffer.from(piece));
      }
      return Buffer.concat(pieces);
    },
    close: () => undefined,
  };
}
