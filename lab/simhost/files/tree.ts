import { closeSync, mkdirSync, openSync, renameSync, rmSync, symlinkSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where new files are made: outside of all that is listed, in the same file system. */
const SCRATCH = '.simhost';

/**
 * The tree of files of a simulated host. A file is written only when it changes, and under its name it is always whole:
 * it takes the old one's place at once, as rename(2) promises.
 */
export class Tree {
  readonly #texts = new Map<string, string>();
  readonly #modes = new Map<string, number>();
  readonly #directories = new Set<string>();
  readonly #scratch: string;
  /** Files written so far. */
  writes = 0;

  constructor(readonly folder: string) {
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
    if (this.#texts.get(name) === text && (this.#modes.get(name) ?? 0o644) === mode) return;
    this.#texts.set(name, text);
    if (mode !== 0o644) this.#modes.set(name, mode);
    else this.#modes.delete(name);
    this.directory(dirname(name));
    const file = openSync(this.#scratch, 'w', mode);
    try {
      // Positions are of no use to a new file, and a short write does not happen to one.
      if (text !== '') writeSync(file, text, null, 'latin1');
    } finally {
      closeSync(file);
    }
    renameSync(this.#scratch, `${this.folder}/${name}`);
    this.writes++;
  }

  link(name: string, target: string): void {
    if (this.#texts.get(name) === `-> ${target}`) return;
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
    for (const path of this.#directories) if (isUnder(path)) this.#directories.delete(path);
  }
}
