import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** Where new files are made: outside of all that is listed, in the same file system. */
const SCRATCH = '.simhost';
/** Files that are held open to be overwritten: beyond them files are replaced. */
const MAX_OPEN = 8192;

/** What is under a name: a file or a link. */
interface Entry {
  text: string;
  readonly mode: number;
  /** Of a file that is held open. */
  fd: number | undefined;
}

/**
 * The tree of files of a simulated host. A file is written only when it changes, and under its name it is always whole:
 * it takes the old one's place at once, as rename(2) promises. Where nobody reads meanwhile, what changes again and again
 * can be overwritten instead, which takes a quarter of the calls.
 */
export class Tree {
  readonly #entries = new Map<string, Entry>();
  readonly #directories = new Set<string>();
  #open = 0;
  readonly #scratch: string;
  /** Files written so far. */
  writes = 0;

  constructor(
    readonly folder: string,
    private readonly overwrites = false,
  ) {
    mkdirSync(join(folder, SCRATCH), { recursive: true });
    this.#scratch = `${folder}/${SCRATCH}/new`;
  }

  path(name: string): string {
    return `${this.folder}/${name}`;
  }

  directory(name: string): void {
    if (this.#directories.has(name)) return;
    mkdirSync(this.path(name), { recursive: true });
    this.#directories.add(name);
  }

  /** @param text latin1 */
  put(name: string, text: string, mode = 0o644): void {
    const entry = this.#entries.get(name);
    if (entry === undefined || entry.mode !== mode) this.replace(name, text, mode);
    else if (entry.text === text) return;
    else if (entry.fd === undefined) this.replace(name, text, mode);
    else this.#overwrite(entry, entry.fd, text);
  }

  #overwrite(entry: Entry, fd: number, text: string): void {
    writeSync(fd, text, 0, 'latin1');
    if (text.length < entry.text.length) ftruncateSync(fd, text.length);
    entry.text = text;
    this.writes++;
  }

  /** Puts another file into its place: who opened the old one goes on to have that. */
  replace(name: string, text: string, mode = 0o644): void {
    const before = this.#entries.get(name);
    const isLive = this.overwrites && before !== undefined && this.#open < MAX_OPEN;
    this.#close(before);
    this.directory(dirname(name));
    const file = openSync(this.#scratch, 'w', mode);
    try {
      // Positions are of no use to a new file, and a short write does not happen to one.
      if (text !== '') writeSync(file, text, null, 'latin1');
    } finally {
      if (isLive) this.#open++;
      else closeSync(file);
    }
    this.#entries.set(name, { text, mode, fd: isLive ? file : undefined });
    renameSync(this.#scratch, `${this.folder}/${name}`);
    this.writes++;
  }

  #close(entry: Entry | undefined): void {
    if (entry?.fd === undefined) return;
    closeSync(entry.fd);
    entry.fd = undefined;
    this.#open--;
  }

  /** The files stay. */
  close(): void {
    for (const entry of this.#entries.values()) this.#close(entry);
  }

  link(name: string, target: string): void {
    const text = `-> ${target}`;
    const before = this.#entries.get(name);
    if (before?.text === text) return;
    this.#close(before);
    this.#entries.set(name, { text, mode: 0o777, fd: undefined });
    this.directory(dirname(name));
    symlinkSync(target, this.#scratch);
    renameSync(this.#scratch, this.path(name));
    this.writes++;
  }

  /** Takes away a file or a folder with all that is in it. */
  remove(name: string): void {
    rmSync(this.path(name), { recursive: true, force: true });
    this.forget(name);
  }

  /** A file or folder is no more where it was put. */
  forget(name: string): void {
    const isUnder = (path: string): boolean => path === name || path.startsWith(`${name}/`);
    for (const [path, entry] of this.#entries) {
      if (!isUnder(path)) continue;
      this.#close(entry);
      this.#entries.delete(path);
    }
    for (const path of this.#directories) if (isUnder(path)) this.#directories.delete(path);
  }
}
