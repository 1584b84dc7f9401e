import type { Family } from '../metrics/families.ts';

/** A changed value causes the formatting of this many lines. */
const LINES_PER_PIECE = 128;
/** Lines of about 400 VMs. Lines beyond this limit are formatted in each scrape. */
const MAX_BYTES = 16 * 1024 * 1024;

interface Written extends Pick<Family, 'labels' | 'suffixes' | 'values'> {
  /** undefined if there was no room. */
  readonly pieces: readonly (Buffer | undefined)[];
}

/**
 * The lines of the last exposition, in pieces. Most values of a host are the same in the next scrape: reasons for exits that never
 * occur, buckets that nothing reaches, VMs that are idle.
 */
export class WrittenLines {
  #families = new Map<string, Written>();
  #bytes = 0;

  constructor(private readonly maxBytes = MAX_BYTES) {}

  /** Number of cached bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The lines of a family, in pieces of some kilobytes. Stopping early is allowed. */
  *piecesOf(family: Family): Generator<Buffer> {
    const { name, labels, suffixes, values } = family;
    const before = this.#families.get(name);
    const isSame = before?.labels === labels && before.suffixes === suffixes;
    const pieces: (Buffer | undefined)[] = [];
    for (let start = 0; start < values.length; start += LINES_PER_PIECE) {
      const end = Math.min(start + LINES_PER_PIECE, values.length);
      const known =
        isSame && areEqual(before.values, values, start, end) ? before.pieces[pieces.length] : undefined;
      const piece = known ?? Buffer.from(lines(family, start, end));
      pieces.push(piece);
      yield piece;
    }
    this.#keep(name, { labels, suffixes, values, pieces });
  }

  /** Forgets all other families. */
  keepOnly(families: readonly Family[]): void {
    const names = new Set(families.map(({ name }) => name));
    for (const [name, written] of this.#families) {
      if (names.has(name)) continue;
      this.#families.delete(name);
      this.#bytes -= sizeOf(written);
    }
  }

  #keep(name: string, written: Written): void {
    const before = this.#families.get(name);
    if (before !== undefined) this.#bytes -= sizeOf(before);
    let room = this.maxBytes - this.#bytes;
    const pieces = written.pieces.map((piece) => {
      room -= piece?.length ?? 0;
      return room < 0 ? undefined : piece;
    });
    const kept = { ...written, pieces };
    this.#families.set(name, kept);
    this.#bytes += sizeOf(kept);
  }
}

function sizeOf({ pieces }: Written): number {
  return pieces.reduce((sum, piece) => sum + (piece?.length ?? 0), 0);
}

function areEqual(before: ArrayLike<number>, now: ArrayLike<number>, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (before[i] !== now[i]) return false;
  return true;
}

/**
 * Joins short lines once. V8 keeps a text that grows line by line as a tree, which takes four times as long to write.
 */
function lines({ name, type, labels, values, suffixes }: Family, start: number, end: number): string {
  const isHistogram = type === 'histogram';
  const written: string[] = [];
  for (let i = start; i < end; i++) {
    const block = labels[i];
    const sample = isHistogram ? name + suffixes[i] : name;
    written.push(block === '' ? `${sample} ${values[i]}\n` : `${sample}{${block}} ${values[i]}\n`);
  }
  return written.join('');
}
