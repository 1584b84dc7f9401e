const NEWLINE = 10;
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];
/**
 * Same limit as QEMU's own parser (qobject/json-streamer.c). Parsing deeper lines takes
 * seconds and gigabytes.
 */
export const MAX_NESTING = 1024;
/** Shorter lines cannot nest deeply enough to be expensive. */
const HARMLESS_LENGTH = 64 * 1024;

/**
 * Splits a stream into lines. An incomplete line is kept in a buffer that doubles: a list of one-byte chunks
 * would take gigabytes, and joining them at each chunk would take hours.
 */
export class QmpLines {
  #line = Buffer.alloc(0);
  #length = 0;

  /** Bytes of the incomplete line. */
  get pending(): number {
    return this.#length;
  }

  /** Yields complete lines without their line ends. */
  *push(chunk: Buffer): Generator<Buffer> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const piece = chunk.subarray(start, end);
      start = end + 1;
      yield this.#length === 0 ? piece : this.#completed(piece);
    }
    this.#keep(chunk.subarray(start));
  }

  clear(): void {
    this.#line = Buffer.alloc(0);
    this.#length = 0;
  }

  #keep(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (length > this.#line.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, this.#line.length * 2));
      this.#line.copy(larger, 0, 0, this.#length);
      this.#line = larger;
    }
    piece.copy(this.#line, this.#length);
    this.#length = length;
  }

  #completed(end: Buffer): Buffer {
    this.#keep(end);
    const line = this.#line.subarray(0, this.#length);
    this.clear();
    return line;
  }
}

/** Also counts brackets in strings: no real string contains so many unclosed ones. */
export function nestsTooDeep(line: Buffer): boolean {
  if (line.length <= HARMLESS_LENGTH) return false;
  let depth = 0;
  for (const byte of line) {
    if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
      if (++depth > MAX_NESTING) return true;
    } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) depth--;
  }
  return false;
}
