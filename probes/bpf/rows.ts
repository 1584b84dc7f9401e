import { SourceError } from '../errors.ts';

/** probes/bpf/rows.h struct row_head. */
const HEAD_BYTES = 16;

/** One row, little-endian. Offsets count from its beginning. */
export class Row {
  constructor(
    protected readonly bytes: Buffer,
    protected readonly at: number,
    readonly size: number,
  ) {}

  get kind(): number {
    return this.u32(0);
  }

  /** The process, by its id in the first pid namespace. */
  get pid(): number {
    return this.u32(8);
  }

  u32(offset: number): number {
    return this.bytes.readUInt32LE(this.at + offset);
  }

  /** Exact up to 2^53. */
  u64(offset: number): number {
    return this.u32(offset) + this.u32(offset + 4) * 2 ** 32;
  }

  /** One bit of a little-endian mask. */
  bit(offset: number, index: number): boolean {
    return ((this.u32(offset + 4 * (index >>> 5)) >>> (index & 31)) & 1) === 1;
  }

  /** Bytes as latin1, which is lossless. */
  text(from: number, to: number): string {
    return this.bytes.toString('latin1', this.at + from, this.at + to);
  }
}

/**
 * Splits what an iterator wrote into rows.
 *
 * @param format names the source in errors
 * @param rowAt makes a row of `size` bytes at `start`
 * @throws SourceError malformed, if the bytes do not end with a row
 */
export function rowsIn<T extends Row>(
  bytes: Buffer,
  format: string,
  rowAt: (start: number, size: number) => T,
): T[] {
  const rows: T[] = [];
  let start = 0;
  while (start < bytes.length) {
    const size = bytes.length - start < HEAD_BYTES ? 0 : bytes.readUInt32LE(start + 4);
    if (size < HEAD_BYTES || size % 8 !== 0 || start + size > bytes.length)
      throw new SourceError('malformed', format, `no row at byte ${start} of ${bytes.length}`);
    rows.push(rowAt(start, size));
    start += size;
  }
  return rows;
}
