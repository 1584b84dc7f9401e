import { sourceError } from '../errors.ts';
import type { Libbpf } from './libbpf.ts';

/** The processes whose rows a program writes: a hash map in the kernel from process id to a number. */
export class ProcessSet {
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
   * @param value what the program finds under each process
   * @throws SourceError if the kernel has no room for all
   */
  replace(pids: ReadonlySet<number>, value: number): void {
    for (const pid of this.#present) {
      if (pids.has(pid)) continue;
      this.libbpf.deleteElement(this.map, this.#keyOf(pid));
      this.#present.delete(pid);
    }
    this.#value.writeUInt32LE(value);
    for (const pid of pids) {
      if (this.#present.has(pid)) continue;
      if (this.libbpf.updateElement(this.map, this.#keyOf(pid), this.#value) < 0)
        throw sourceError({ code: this.libbpf.errno() }, this.name);
      this.#present.add(pid);
    }
  }

  #keyOf(pid: number): Buffer {
    this.#key.writeUInt32LE(pid);
    return this.#key;
  }
}
