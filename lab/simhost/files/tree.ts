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

/**
 * The tree of files of a simulated host. A file is written only when it changes, and under its name it is always whole:
 * it takes the old one's place at once, as rename(2) promises. Where nobody reads meanwhile, what changes again and again
 * can be overwritten instead, which takes a quarter of the calls.
 */
export class Tree {
  readonly #texts = new Map<string, string>();
  readonly #modes = new Map<string, number>();
  readonly #directories = new Set<string>();
  readonly #open = new Map<string, number>();
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
    const before = this.#texts.get(name);
    const isSameMode = (this.#modes.get(name) ?? 0o644) === mode;
    if (before === text && isSameMode) return;
    const fd = isSameMode ? this.#open.get(name) : undefined;
    if (fd === undefined) this.replace(name, text, mode);
    else this.#overwrite(fd, name, text);
  }

  #overwrite(fd: number, name: string, text: string): void {
    writeSync(fd, text, 0, 'latin1');
    if (text.length < (this.#texts.get(name)?.length ?? 0)) ftruncateSync(fd, text.length);
    this.#texts.set(name, text);
    this.writes++;
  }

  /** Puts another file into its place: who opened the old one goes on to have that. */
  replace(name: string, text: string, mode = 0o644): void {
    const isLive = this.overwrites && this.#texts.has(name) && this.#open.size < MAX_OPEN;
    this.#close(name);
    this.#texts.set(name, text);
    if (mode !== 0o644) this.#modes.set(name, mode);
    else this.#modes.delete(name);
    this.directory(dirname(name));
    const file = openSync(this.#scratch, 'w', mode);
    try {
      // Positions are of no use to a new file, and a short write does not happen to one.
      if (text !== '') writeSync(file, text, null, 'latin1');
    } finally {
      if (isLive) this.#open.set(name, file);
      else closeSync(file);
    }
    renameSync(this.#scratch, `${this.folder}/${name}`);
    this.writes++;
  }

  #close(name: string): void {
    const fd = this.#open.get(name);
    if (fd !== undefined) closeSync(fd);
    this.#open.delete(name);
  }

  /** The files stay. */
  close(): void {
    for (const name of this.#open.keys()) this.#close(name);
  }

  link(name: string, target: string): void {
    if (this.#texts.get(name) === `-> ${target}`) return;
    this.#close(name);
    this.#texts.set(name, `-> ${target}`);
    this.#modes.delete(name);
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
    for (const path of this.#texts.keys()) {
      if (!isUnder(path)) continue;
      this.#texts.delete(path);
      this.#modes.delete(path);
    }
    for (const path of this.#open.keys()) if (isUnder(path)) this.#close(path);
    for (const path of this.#directories) if (isUnder(path)) this.#directories.delete(path);
  }
}
