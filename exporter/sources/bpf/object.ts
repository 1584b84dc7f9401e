import { BpfIterator, OBJECTS, type ProgramName } from '../../../probes/bpf/iterator.ts';
import { readKvmTypes } from '../../../probes/bpf/kvm-types.ts';
import { openLibbpf } from '../../../probes/bpf/libbpf.ts';
import { checkPidNamespace } from '../../../probes/bpf/pid-namespace.ts';
import { isGone, type SourceError, sourceError } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';
import { Backoff } from '../../schedule/backoff.ts';
import { fileReader, type RowReader, rowsFolder } from './row-reader.ts';

export interface BpfSettings {
  readonly mode: 'auto' | 'off';
}

/** @throws SourceError if BPF cannot be used here */
export type Loader = (host: Host) => RowReader;

const FIRST_RETRY_MS = 10_000;
/** A try takes some 20 ms, and more on a host with many modules. */
const MAX_RETRY_MS = 3_600_000;

/**
 * A BPF program for which there may be several objects. It is optional: if none can be loaded, the reason is kept for doctor, the
 * other sources are used, and it is tried again.
 */
export class BpfObject {
  readonly #backoff: Backoff;
  #reader: RowReader | undefined;
  #missing: SourceError | undefined;
  /** Mode of the last attempt to load. */
  #tried: BpfSettings['mode'] | undefined;
  /** KVM's types at the last attempt: CO-RE finds fields when an object is loaded. */
  #types = '';

  /** @param now milliseconds of a monotonic clock */
  constructor(
    private readonly host: Host,
    private readonly name: ProgramName,
    private settings: BpfSettings,
    private readonly load: Loader,
    now: () => number,
  ) {
    this.#backoff = new Backoff(FIRST_RETRY_MS, MAX_RETRY_MS, now);
  }

  /** Takes effect at the next `prepare`. */
  configure(settings: BpfSettings): void {
    this.settings = settings;
  }

  /**
   * Loads the object, or a better one. Call at every pass of the inventory: KVM may be loaded after this program, and
   * a reason against an object may disappear.
   */
  prepare(): void {
    const { mode } = this.settings;
    if (mode !== this.#tried) {
      this.close();
      this.#tried = mode;
    } else if (!this.#isDue()) return;
    if (mode !== 'off') this.#open();
  }

  /** False if it is off, and for a copy of a host without rows. */
  get isWanted(): boolean {
    return this.#reader !== undefined || this.#missing !== undefined;
  }

  /** undefined if it is off or missing. */
  get reader(): RowReader | undefined {
    return this.#reader;
  }

  /** The reason why BPF, or the best object, is not used here. */
  get missing(): readonly SourceError[] {
    const problem = this.#missing ?? this.#reader?.lacks;
    return problem === undefined ? [] : [problem];
  }

  /** Whether each object that was tried is loaded now. Empty if it is off, and for a copy of a host. */
  get objects(): ReadonlyMap<string, boolean> {
    const names = OBJECTS[this.name];
    const loaded = this.#reader?.object;
    if (this.#folder !== undefined || !this.isWanted) return new Map();
    const tried = loaded === undefined ? names : names.slice(0, names.indexOf(loaded) + 1);
    return new Map(tried.map((name) => [name, name === loaded]));
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
    this.#backoff.succeeded();
  }

  get #folder(): string | undefined {
    return rowsFolder(this.host);
  }

  #isDue(): boolean {
    if (this.#tried === 'off' || this.#folder !== undefined) return false;
    if (readKvmTypes(this.host) !== this.#types) return true;
    const [problem] = this.missing;
    return problem !== undefined && problem.code !== 'until_restart' && this.#backoff.isOver;
  }

  /** An object that is in use stays so until another one is loaded. */
  #open(): void {
    const folder = this.#folder;
    this.#types = folder === undefined ? readKvmTypes(this.host) : '';
    try {
      const reader =
        folder === undefined ? this.load(this.host) : fileReader(this.host, `${folder}/${this.name}`);
      this.#reader?.close();
      this.#reader = reader;
      this.#missing = undefined;
    } catch (error) {
      // A copy of a host may lack rows.
      const isWanted = folder === undefined || !isGone(error);
      if (isWanted && this.#reader === undefined) this.#missing = sourceError(error, this.title);
    }
    if (this.missing.length > 0) this.#backoff.failed();
    else this.#backoff.succeeded();
  }
}

/** Loads an object into the running kernel. @throws SourceError */
export function loadObject(host: Host, name: ProgramName): BpfIterator {
  checkPidNamespace(host);
  return BpfIterator.load(openLibbpf(), name);
}
