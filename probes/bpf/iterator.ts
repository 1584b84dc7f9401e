import { closeSync, readSync } from 'node:fs';
import { SourceError, sourceError } from '../errors.ts';
import { IdSet } from './id-set.ts';
import type { Libbpf, Pointer } from './libbpf.ts';
import { failure, loadObject } from './object-file.ts';

/** Space for the first read. One read returns at most 32 KiB, and a smaller buffer would split a row. */
const FIRST_BUFFER = 256 * 1024;
const LEAST_SPACE = 64 * 1024;
/** Rows of 40,000 vCPUs. More indicate a fault. */
export const MAX_ROW_BYTES = 64 * 1024 * 1024;
/** EAGAIN: the kernel passed a million objects without a row, and continues at the next read. */
const MAX_AGAIN = 100;

/** A program of this folder. */
export type ProgramName = 'kvm' | 'threads';

/** The kvm object with the fields whose types are in the module's BTF. */
export const MODULE_OBJECT = 'kvm-module';

/** The objects that have the program, the best one first. */
export const OBJECTS: Readonly<Record<ProgramName, readonly string[]>> = {
  kvm: [MODULE_OBJECT, 'kvm'],
  threads: ['threads'],
};

/**
 * A BPF iterator that is loaded and attached. Descriptors of this process hold it, and nothing is pinned: the kernel removes
 * it with the process, also after SIGKILL.
 */
export class BpfIterator {
  #buffer = Buffer.allocUnsafeSlow(FIRST_BUFFER);

  private constructor(
    private readonly libbpf: Libbpf,
    private readonly loaded: Loaded,
    private readonly link: Pointer,
    private readonly name: ProgramName,
  ) {}

  /** @throws SourceError if this kernel or these privileges do not allow it */
  static load(libbpf: Libbpf, name: ProgramName): BpfIterator {
    const loaded = loadFirst(libbpf, OBJECTS[name], sourceOf(name));
    const program = libbpf.findProgram(loaded.pointer, name);
    const link = program === null ? null : libbpf.attachIterator(program);
    if (link !== null) return new BpfIterator(libbpf, loaded, link, name);
    const problem = failure(libbpf, sourceOf(name));
    libbpf.close(loaded.pointer);
    throw problem;
  }

  /** The object in use. */
  get object(): string {
    return this.loaded.name;
  }

  /** The reason why no better object is in use; undefined if it is the best one. */
  get lacks(): SourceError | undefined {
    return this.loaded.refusal;
  }

  /**
   * Runs the program over all objects of the kernel.
   *
   * @returns its rows, valid until the next call
   * @throws SourceError
   */
  read(): Buffer {
    const path = sourceOf(this.name);
    const descriptor = this.libbpf.createIterator(this.libbpf.linkDescriptor(this.link));
    if (descriptor < 0) throw failure(this.libbpf, path);
    try {
      return this.#readAll(descriptor, path);
    } finally {
      closeSync(descriptor);
    }
  }

  /** @throws SourceError if the object has no such map */
  processSet(map: string): IdSet {
    const found = this.libbpf.findMap(this.loaded.pointer, map);
    if (found === null) throw failure(this.libbpf, sourceOf(this.name));
    return new IdSet(this.libbpf, this.libbpf.mapDescriptor(found), sourceOf(this.name));
  }

  close(): void {
    this.libbpf.destroyLink(this.link);
    this.libbpf.close(this.loaded.pointer);
  }

  #readAll(descriptor: number, path: string): Buffer {
    let length = 0;
    let again = 0;
    for (;;) {
      if (this.#buffer.length - length < LEAST_SPACE) this.#grow(length, path);
      try {
        const got = readSync(descriptor, this.#buffer, length, this.#buffer.length - length, null);
        if (got === 0) return this.#buffer.subarray(0, length);
        length += got;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EAGAIN' || ++again > MAX_AGAIN) throw sourceError(error, path);
      }
    }
  }

  #grow(length: number, path: string): void {
    if (this.#buffer.length >= MAX_ROW_BYTES)
      throw new SourceError('too_large', path, `more than ${MAX_ROW_BYTES} bytes`);
    const larger = Buffer.allocUnsafeSlow(this.#buffer.length * 2);
    this.#buffer.copy(larger, 0, 0, length);
    this.#buffer = larger;
  }
}

interface Loaded {
  readonly name: string;
  readonly pointer: Pointer;
  /** The reason why the object before it was not loaded. */
  readonly refusal: SourceError | undefined;
}

/** @throws SourceError of the last object, if none can be loaded */
function loadFirst(
  libbpf: Libbpf,
  names: readonly string[],
  title: string,
  refusal: SourceError | undefined = undefined,
): Loaded {
  const [name = '', ...others] = names;
  const isLast = others.length === 0;
  const path = isLast ? title : `BPF object ${name}`;
  try {
    return { name, pointer: loadObject(libbpf, name, path), refusal };
  } catch (error) {
    if (isLast) throw error;
    return loadFirst(libbpf, others, title, sourceError(error, path));
  }
}

function sourceOf(name: ProgramName): string {
  return `BPF iterator ${name}`;
}
