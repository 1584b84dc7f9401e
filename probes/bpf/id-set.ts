import { sourceError } from '../errors.ts';
import type { Libbpf } from './libbpf.ts';

/** The processes or threads that a program counts or reads: a hash map in the kernel from their id to a number. */
export class IdSet {
  readonly #key = Buffer.alloc(4);
  readonly #value = Buffer.alloc(4);
  readonly #present = new Set<number>();

  constructor(
    private readonly libbpf: Libbpf,
    private readonly map: number,
    private readonly name: string,
  ) {}

  /**
   * Changes only what differs from the last call.
   *
   * @param value the value of each id in the map
   * @throws SourceError if the kernel has no room for all
   */
  replace(ids: ReadonlySet<number>, value: number): void {
    for (const id of this.#present) {
      if (ids.has(id)) continue;
      this.libbpf.deleteElement(this.map, this.#keyOf(id));
      this.#present.delete(id);
    }
    this.#value.writeUInt32LE(value);
    for (const id of ids) {
      if (this.#present.has(id)) continue;
      if (this.libbpf.updateElement(this.map, this.#keyOf(id), this.#value) < 0)
        throw sourceError({ code: this.libbpf.errno() }, this.name);
      this.#present.add(id);
    }
  }

  #keyOf(id: number): Buffer {
    this.#key.writeUInt32LE(id);
    return this.#key;
  }
}
