import { SourceError } from '../errors.ts';
import type { Libbpf, Pointer } from './libbpf.ts';
import { failure } from './object-file.ts';

/** Bytes of the position in a batch: the kernel writes the number of a bucket. */
const POSITION_BYTES = 8;
/** Elements in the first read. A read that has no room for a bucket fails, so this is more than any bucket has. */
const FIRST_ELEMENTS = 1024;

/** The content of a hash map of counts. Keys and values are in the layout of the program, one after the other. */
export interface Counted {
  readonly rows: number;
  readonly keys: Buffer;
  readonly values: Buffer;
}

/** A hash map of probes/bpf/trace-*.bpf.c. */
export class CountMap {
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly #map: number;
  readonly #count = Buffer.alloc(4);
  readonly #positions: readonly [Buffer, Buffer] = [
    Buffer.alloc(POSITION_BYTES),
    Buffer.alloc(POSITION_BYTES),
  ];
  #room = 0;
  #keys: Buffer = Buffer.alloc(0);
  #values: Buffer = Buffer.alloc(0);

  constructor(
    private readonly libbpf: Libbpf,
    map: Pointer,
    private readonly title: string,
  ) {
    this.#map = libbpf.mapDescriptor(map);
    this.keySize = libbpf.keySize(map);
    this.valueSize = libbpf.valueSize(map);
    this.maxEntries = libbpf.maxEntries(map);
    this.#grow(Math.min(this.maxEntries, FIRST_ELEMENTS), 0);
  }

  /** Reads all elements. @returns content that is valid until the next call @throws SourceError */
  read(): Counted {
    return this.#readAll(false);
  }

  /** The same, and empties the map. An event is either in the result, or counts in the map from 0 on. */
  take(): Counted {
    return this.#readAll(true);
  }

  #readAll(takes: boolean): Counted {
    const { keySize, valueSize } = this;
    let rows = 0;
    let [from, to] = this.#positions;
    for (let isFirst = true, isLast = false; !isLast; isFirst = false) {
      if (this.#room - rows < FIRST_ELEMENTS) this.#grow(this.#room * 2, rows);
      const [keys, values] = [this.#keys.subarray(rows * keySize), this.#values.subarray(rows * valueSize)];
      this.#count.writeUInt32LE(this.#room - rows);
      const found = { keys, values, count: this.#count };
      const failed = this.libbpf.lookUpBatch(this.#map, isFirst ? null : from, to, found, takes) < 0;
      isLast = failed && this.libbpf.errno() === 'ENOENT';
      if (failed && !isLast) throw failure(this.libbpf, this.title);
      rows += this.#count.readUInt32LE();
      // A limit, because other readers and deletions make the kernel begin again.
      if (rows > 2 * this.maxEntries) throw new SourceError('too_large', this.title, `${rows} elements`);
      [from, to] = [to, from];
    }
    return { rows, keys: this.#keys, values: this.#values };
  }

  #grow(room: number, used: number): void {
    const grown = (old: Buffer, size: number): Buffer => {
      const buffer = Buffer.allocUnsafeSlow(room * size);
      old.copy(buffer, 0, 0, used * size);
      return buffer;
    };
    this.#keys = grown(this.#keys, this.keySize);
    this.#values = grown(this.#values, this.valueSize);
    this.#room = room;
  }
}
