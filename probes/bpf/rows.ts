import { SourceError } from '../errors.ts';

/** probes/bpf/rows.h struct row_head. */
const HEAD_BYTES = 16;

/** One row, little-endian. Offsets count from its beginning. */
export interface Row {
  readonly kind: number;
  /** The process, by its id in the first pid namespace. */
  readonly pid: number;
  u32(offset: number): number;
  /** Exact up to 2^53. */
  u64(offset: number): number;
  readonly size: number;
}

/**
 * Splits what an iterator wrote into rows.
 *
 * @param format names the source in errors
 * @throws SourceError malformed, if the bytes do not end with a row
 */
export function* rowsIn(bytes: Buffer, format: string): Generator<Row> {
  let start = 0;
  while (start < bytes.length) {
    const size = bytes.length - start < HEAD_BYTES ? 0 : bytes.readUInt32LE(start + 4);
    if (size < HEAD_BYTES || size % 8 !== 0 || start + size > bytes.length)
      throw new SourceError('malformed', format, `no row at byte ${start} of ${bytes.length}`);
    const at = start;
    const u32 = (offset: number): number => bytes.readUInt32LE(at + offset);
    yield {
      kind: u32(0),
      pid: u32(8),
      size,
      u32,
      u64: (offset) => u32(offset) + u32(offset + 4) * 2 ** 32,
    };
    start += size;
  }
}
