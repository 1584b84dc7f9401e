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

/** New files are created here: outside of the listed folders, on the same file system. */
const SCRATCH = '.simhost';
/** Limit of files that are held open for overwriting. Further files are replaced. */
const MAX_OPEN = 8192;

/** A file or a link. */
interface Entry {
  text: string;
  readonly mode: number;
  /** Set while the file is held open. */
  fd: number | undefined;
}

/**
 * The file tree of a simulated host. A file is written only when it changes. It is never seen half written:
 * rename(2) replaces the old file atomically. If nobody reads during a write, files that change often can be
 * overwritten in place, which takes a quarter of the system calls.
 */
export class Tree {
  readonly #entries = new Map<string, Entry>();
  readonly #directories = new Set<string>();
  #open = 0;
  readonly #scratch: string;
  /** Number of files written. */
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

  /** Replaces the file. A process that has the old file open keeps it. */
  replace(name: string, text: string, mode = 0o644): void {
    const before = this.#entries.get(name);
    const isLive = this.overwrites && before !== undefined && this.#open < MAX_OPEN;
    this.#close(before);
    this.directory(dirname(name));
    const file = openSync(this.#scratch, 'w', mode);
    try {
      // A new file needs no position, and a write to it is never short.
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

  /** Closes the descriptors. The files stay. */
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

  /** Removes a file, or a folder with its contents. */
  remove(name: string): void {
    rmSync(this.path(name), { recursive: true, force: true });
    this.forget(name);
  }

  /** Drops the entry of a file or folder that was moved or removed. */
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
