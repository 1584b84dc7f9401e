import { constants } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Family } from '../../metrics/families.ts';
import { isOurs, stateDirectoryProblem } from '../../state/directory.ts';
import { type Head, MAGIC, MAX_SERIES, olderFile, RECORDED, type ScrapeLine } from './format.ts';

export interface RecorderSettings {
  readonly file: string;
  /** Of the file and the one before it together. */
  readonly maxBytes: number;
}

/** With more series that ended than these, the numbering begins again. */
const SPARE = 1000;
const FLAGS =
  constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Names of VMs are confidential. */
const MODE = 0o640;

/** Appends scrapes to a recording. Half full, the file is moved to `.old`, where it replaces an older one. */
export class Recorder {
  #numbers = new Map<string, number>();
  /** The file as the last scrape left it. Another file, or one of another size, gets a new head. */
  #left: { readonly inode: number; readonly size: number } | undefined;

  constructor(private readonly host: string) {}

  /** @param at seconds of the epoch. @throws Error that names the file and the fix */
  async record({ file, maxBytes }: RecorderSettings, at: number, families: readonly Family[]): Promise<void> {
    const samples = samplesOf(families);
    if (samples.size > MAX_SERIES)
      throw new Error(`record.file: ${samples.size} series to record, and ${MAX_SERIES} are possible`);
    const problem = stateDirectoryProblem(dirname(file));
    if (problem !== undefined) throw new Error(`record.file: ${dirname(file)} ${problem}`);
    let handle = await opened(file);
    try {
      let size = await this.#continue(handle, file);
      let text = this.#lineOf(at, samples);
      if (size > 0 && size + Buffer.byteLength(text) > maxBytes / 2) {
        await rename(file, olderFile(file));
        await handle.close();
        handle = await opened(file);
        size = await this.#continue(handle, file);
        text = this.#lineOf(at, samples);
      }
      if (Buffer.byteLength(text) > maxBytes / 2)
        throw new Error(`record.maxBytes: two scrapes need ${2 * Buffer.byteLength(text)} bytes`);
      await this.#append(handle, size, text);
    } catch (error) {
      this.#left = undefined;
      throw inWords(error, file);
    } finally {
      await handle.close();
    }
  }

  /** @returns the file's size. If this recorder did not write its end, the numbering begins again. */
  async #continue(handle: FileHandle, file: string): Promise<number> {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new Error(`record.file: ${file} is not a regular file: give another path`);
    if (!isOurs(stat.uid)) throw new Error(`record.file: ${file} belongs to another user (uid ${stat.uid})`);
    const isOwn = this.#left?.inode === stat.ino && this.#left.size === stat.size;
    if (isOwn && stat.size > 0) return stat.size;
    this.#numbers = new Map();
    if (stat.size > 0) {
      const begin = Buffer.alloc(MAGIC.length);
      await handle.read(begin, 0, begin.length, 0);
      if (begin.toString() !== MAGIC)
        throw new Error(`record.file: ${file} exists and is not a recording: give another path`);
    }
    return stat.size;
  }

  #lineOf(at: number, samples: ReadonlyMap<string, number>): string {
    let ended = 0;
    for (const series of this.#numbers.keys()) if (!samples.has(series)) ended++;
    if (ended > samples.size + SPARE) this.#numbers = new Map();
    const head: Head = { recording: 1, host: this.host };
    // Begin a new line, because the last one may be incomplete.
    const begin = this.#numbers.size === 0 ? `\n${JSON.stringify(head)}\n` : '';
    const fresh: string[] = [];
    for (const series of samples.keys()) {
      if (this.#numbers.has(series)) continue;
      this.#numbers.set(series, this.#numbers.size);
      fresh.push(series);
    }
    const values = [...this.#numbers.keys()].map((series) => samples.get(series) ?? null);
    const line: ScrapeLine = { at, ...(fresh.length > 0 && { new: fresh }), values };
    return `${begin}${JSON.stringify(line)}\n`;
  }

  async #append(handle: FileHandle, size: number, text: string): Promise<void> {
    const bytes = Buffer.from(size === 0 ? text.trimStart() : text);
    try {
      await handle.appendFile(bytes);
    } catch (error) {
      // Do not leave a partial line if the disk is full.
      await handle.truncate(size).catch(() => undefined);
      throw error;
    }
    this.#left = { inode: (await handle.stat()).ino, size: size + bytes.length };
  }
}

function samplesOf(families: readonly Family[]): Map<string, number> {
  const samples = new Map<string, number>();
  for (const { name, type, labels, values, suffixes } of families) {
    const isHistogram = type === 'histogram';
    if (!RECORDED.has(isHistogram ? `${name}_bucket` : name)) continue;
    for (const [i, block] of labels.entries()) {
      if (isHistogram && suffixes[i] !== '_bucket') continue;
      samples.set(`${isHistogram ? `${name}_bucket` : name}{${block}}`, values[i] ?? 0);
    }
  }
  return samples;
}

async function opened(file: string): Promise<FileHandle> {
  try {
    return await open(file, FLAGS, MODE);
  } catch (error) {
    throw inWords(error, file);
  }
}

function inWords(error: unknown, file: string): Error {
  const { code, message } = error as NodeJS.ErrnoException;
  return new Error(code === undefined ? message : `record.file: cannot write ${file}: ${code}`);
}
