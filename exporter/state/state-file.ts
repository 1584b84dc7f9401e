import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { isExhausted } from '../../probes/errors.ts';
import { isOurs, stateDirectoryProblem } from './directory.ts';
import { withLock } from './lock.ts';

/** The part of a logger that is needed; a pino logger fits. */
export interface StateLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface StateOptions<T> {
  readonly directory: string;
  /** File name in the directory. */
  readonly name: string;
  readonly schema: z.ZodType<T>;
  readonly empty: () => T;
  readonly logger: StateLogger;
}

/** Larger files are not state files: they are neither read nor written. */
const CAP = 4 * 1024 * 1024;
const TOO_LARGE = `no regular file of at most ${CAP} bytes`;
/** A temporary file of this age was left by a killed process. */
const LEFT_BEHIND_MS = 3_600_000;

/**
 * State that survives a restart: a JSON file that is validated on read and replaced atomically on write. If
 * the file or its directory is unusable, the state is kept in memory and one warning is logged.
 */
export class StateFile<T> {
  readonly path: string;
  #value: T;
  #isDirty = false;
  #writing: Promise<boolean> | undefined;
  /** Never overwrite a file that could not be read. */
  #isUnreadable = false;
  #isFailing = false;
  #hasSwept = false;

  constructor(private readonly options: StateOptions<T>) {
    this.path = join(options.directory, options.name);
    this.#value = this.#read(options.empty);
  }

  get value(): T {
    return this.#value;
  }

  /**
   * Reads what another process wrote, unless this process has unsaved changes. An unusable file changes
   * nothing.
   */
  reload(): T {
    if (this.#writing === undefined && !this.#isFailing) this.#value = this.#read(() => this.#value);
    return this.#value;
  }

  /**
   * Saves the value. Calls during a write are merged into one more write. @returns whether the file has the
   * value
   */
  save(value: T): Promise<boolean> {
    this.#value = value;
    this.#isDirty = true;
    this.#writing ??= this.#drain();
    return this.#writing;
  }

  /**
   * Changes the current content of the file, whichever process wrote it. Other processes are locked out
   * during the change.
   *
   * @returns whether the file has the value
   */
  async update(change: (value: T) => T): Promise<boolean> {
    const { directory } = this.options;
    try {
      await makeDirectory(directory);
      return await withLock(directory, () => this.save(change(this.#read(() => this.#value))));
    } catch (error) {
      this.#value = change(this.#value);
      this.#fail(error);
      return false;
    }
  }

  async #drain(): Promise<boolean> {
    let isSaved = false;
    while (this.#isDirty) {
      this.#isDirty = false;
      isSaved = await this.#write();
    }
    this.#writing = undefined;
    return isSaved;
  }

  #read(otherwise: () => T): T {
    const { schema, empty, logger } = this.options;
    const { path } = this;
    const wasUnreadable = this.#isUnreadable;
    this.#isUnreadable = false;
    let text: string | undefined;
    try {
      checkDirectory(this.options.directory);
      text = readCapped(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return empty();
      this.#isUnreadable = true;
      // Descriptor exhaustion affects the whole process and is logged elsewhere.
      if (!wasUnreadable && !isExhausted(error)) {
        logger.warn({ path, reason: reasonOf(error) }, 'state file cannot be read: state is kept in memory');
      }
      return otherwise();
    }
    const document = text === undefined ? undefined : json(text);
    const parsed = document === undefined ? undefined : schema.safeParse(document.value);
    if (parsed?.success) return parsed.data;
    this.#setAside(parsed?.error.issues[0]?.message ?? (text === undefined ? TOO_LARGE : 'not JSON'));
    return otherwise();
  }

  #setAside(reason: string): void {
    const { path } = this;
    try {
      renameSync(path, `${path}.corrupt`);
      this.options.logger.warn({ path, reason }, `state file is corrupt: set aside as ${path}.corrupt`);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      this.#isUnreadable = true;
      this.options.logger.warn({ path, reason, code }, 'state file is corrupt: state is kept in memory');
    }
  }

  async #write(): Promise<boolean> {
    if (this.#isUnreadable) return false;
    const { path } = this;
    const { directory, logger } = this.options;
    // The name cannot be guessed, and `wx` does not follow an existing link.
    const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`;
    try {
      const text = `${JSON.stringify(this.#value)}\n`;
      if (Buffer.byteLength(text) > CAP) throw new Error(TOO_LARGE);
      await makeDirectory(directory);
      await this.#sweep();
      await writeSynced(temporary, text);
      await rename(temporary, path);
      await syncDirectory(directory);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      this.#fail(error);
      return false;
    }
    if (this.#isFailing) logger.info({ path }, 'state file is written again');
    this.#isFailing = false;
    return true;
  }

  #fail(error: unknown): void {
    const { path } = this;
    if (!this.#isFailing) {
      const reason = reasonOf(error);
      this.options.logger.warn({ path, reason }, 'state file cannot be written: state is kept in memory');
    }
    this.#isFailing = true;
  }

  /** Removes temporary files of killed writers. Runs once. */
  async #sweep(): Promise<void> {
    if (this.#hasSwept) return;
    this.#hasSwept = true;
    const { directory, name } = this.options;
    for (const entry of await readdir(directory)) {
      if (!entry.startsWith(`${name}.`) || !entry.endsWith('.tmp')) continue;
      const path = join(directory, entry);
      const age = await stat(path).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
      );
      if (age > LEFT_BEHIND_MS) await rm(path, { force: true });
    }
  }
}

/** @throws Error if other users could write to the directory */
function checkDirectory(directory: string): void {
  const problem = stateDirectoryProblem(directory);
  if (problem !== undefined) throw new Error(`${directory} ${problem}`);
}

async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o750 });
  checkDirectory(directory);
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}

/**
 * Returns undefined for anything but a regular file and for a file that is too large. @throws Error also for
 * a link or a file of another user
 */
function readCapped(path: string): string | undefined {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    const stat = fstatSync(fd);
    if (!isOurs(stat.uid)) throw new Error(`it belongs to another user (uid ${stat.uid})`);
    return stat.isFile() && stat.size <= CAP ? readFileSync(fd, 'utf8') : undefined;
  } finally {
    closeSync(fd);
  }
}

function json(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o644);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the rename survive a power failure. Some file systems do not support it. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync().catch(() => {});
  } finally {
    await directory.close();
  }
}
