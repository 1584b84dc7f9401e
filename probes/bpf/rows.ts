import { SourceError } from '../errors.ts';

/** probes/bpf/rows.h struct row_head. */
const HEAD_BYTES = 16;

/** The output of an iterator, as bytes and as words. */
export interface RowBytes {
  readonly bytes: Buffer;
  /** A typed array is read ten times as fast as a Buffer. */
  readonly words: Uint32Array;
}

/** One row, little-endian. Offsets count from its beginning, and are multiples of 4. */
export class Row {
  readonly #words: Uint32Array;
  readonly #word: number;

  constructor(
    protected readonly of: RowBytes,
    protected readonly at: number,
    readonly size: number,
  ) {
    this.#words = of.words;
    this.#word = at >>> 2;
  }

  get kind(): number {
    return this.u32(0);
  }

  /** The process, by its id in the first pid namespace. */
  get pid(): number {
    return this.u32(8);
  }

  u32(offset: number): number {
    return this.#words[this.#word + (offset >>> 2)] ?? 0;
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
    return this.of.bytes.toString('latin1', this.at + from, this.at + to);
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
  rowAt: (of: RowBytes, start: number, size: number) => T,
): T[] {
  const rows: T[] = [];
  const of = { bytes, words: wordsOf(bytes) };
  let start = 0;
  while (start < bytes.length) {
    const size = bytes.length - start < HEAD_BYTES ? 0 : bytes.readUInt32LE(start + 4);
    if (size < HEAD_BYTES || size % 8 !== 0 || start + size > bytes.length)
      throw new SourceError('malformed', format, `no row at byte ${start} of ${bytes.length}`);
    rows.push(rowAt(of, start, size));
    start += size;
  }
  return rows;
}

/** Words must begin at a multiple of 4 in memory. Bytes from a file may begin elsewhere. */
function wordsOf(bytes: Buffer): Uint32Array {
  const { buffer, byteOffset } =
    bytes.byteOffset % 4 === 0 ? bytes : Buffer.from(new Uint8Array(bytes).buffer);
  return new Uint32Array(buffer, byteOffset, bytes.length >>> 2);
}
