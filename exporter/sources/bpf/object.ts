import { dirname, join } from 'node:path';
import { BpfIterator, MAX_ROW_BYTES, type ProgramName } from '../../../probes/bpf/iterator.ts';
import { openLibbpf } from '../../../probes/bpf/libbpf.ts';
import { checkPidNamespace } from '../../../probes/bpf/pid-namespace.ts';
import { isGone, SourceError, sourceError } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';

export interface BpfSettings {
  readonly mode: 'auto' | 'off';
}

/** Reads rows: an iterator in the kernel, or a file in a copy of a host. */
export interface RowReader {
  /** @param pids processes whose rows are needed; there may be others */
  read(pids: ReadonlySet<number>): Buffer;
  close(): void;
}

/** @throws SourceError if BPF cannot be used here */
export type Loader = (host: Host) => RowReader;

/**
 * A BPF object that is loaded once. It is optional: if it cannot be loaded, the reason is kept for doctor and the other sources
 * are used.
 */
export class BpfObject {
  #reader: RowReader | undefined;
  #missing: SourceError | undefined;
  /** Mode of the last attempt to load. */
  #tried: BpfSettings['mode'] | undefined;

  constructor(
    private readonly host: Host,
    private readonly name: ProgramName,
    private settings: BpfSettings,
    private readonly load: Loader,
  ) {}

  /** Takes effect at the next `prepare`. */
  configure(settings: BpfSettings): void {
    this.settings = settings;
  }

  /** Loads the object once, and again after the settings have changed. */
  prepare(): void {
    const { mode } = this.settings;
    if (mode === this.#tried) return;
    this.close();
    this.#tried = mode;
    if (mode !== 'off') this.#open(rowsFolder(this.host));
  }

  /** False if it is off, and for a copy of a host without rows. */
  get isWanted(): boolean {
    return this.#reader !== undefined || this.#missing !== undefined;
  }

  /** undefined if it is off or missing. */
  get reader(): RowReader | undefined {
    return this.#reader;
  }

  /** Why it is not used here. */
  get missing(): readonly SourceError[] {
    return this.#missing === undefined ? [] : [this.#missing];
  }

  /** Names the object in errors. */
  get title(): string {
    return `BPF iterator ${this.name}`;
  }

  close(): void {
    this.#reader?.close();
    this.#reader = undefined;
    this.#missing = undefined;
    this.#tried = undefined;
  }

  #open(rows: string | undefined): void {
    try {
      if (rows === undefined) this.#reader = this.load(this.host);
      else this.#reader = fileReader(this.host, `${rows}/${this.name}`);
    } catch (error) {
      // A copy of a host need not have rows.
      if (rows === undefined || !isGone(error)) this.#missing = sourceError(error, this.title);
    }
  }
}

/** Loads an object into the running kernel. @throws SourceError */
export function loadObject(host: Host, name: ProgramName): BpfIterator {
  checkPidNamespace(host);
  return BpfIterator.load(openLibbpf(), name);
}

/** A copy of a host has its rows in files, if it has any; undefined for this host. */
function rowsFolder({ isLive, roots }: Host): string | undefined {
  return roots.bpf ?? (isLive ? undefined : join(dirname(roots.procfs), 'bpf'));
}

/** The file has what the iterator would write. */
function fileReader(host: Host, path: string): RowReader {
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
