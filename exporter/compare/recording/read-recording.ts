import { existsSync } from 'node:fs';
import { ConfigError } from '../../config/load.ts';
import { MAGIC, MAX_LINE, MAX_SERIES, olderFile } from './format.ts';
import type { Kept } from './kept.ts';
import { type Line, linesOf } from './lines.ts';

/** Faults of a recording, as numbers of scrapes. */
export interface Damage {
  /** The daemon was killed, or the disk was full. */
  readonly incomplete: number;
  /** The clock was set back. */
  readonly late: number;
}

type Numbered = ReturnType<Kept['seriesOf']>;

/** Whether a file is a recording, by its first line. @throws ConfigError */
export async function isRecording(path: string): Promise<boolean> {
  for await (const { text } of linesOf(path, MAX_LINE)) return text.startsWith(MAGIC);
  throw new ConfigError(`--recording: ${path} is empty: give a recording of the daemon (record.file)`);
}

/** Reads a recording, and before it the part that was moved to `.old`. @throws ConfigError */
export async function readRecording(
  path: string,
  kept: Kept,
  onProgress: (share: number) => void,
): Promise<Damage> {
  const files = [olderFile(path), path].filter((each) => each === path || existsSync(each));
  let [incomplete, late] = [0, 0];
  for (const [i, file] of files.entries()) {
    const reader = new Reader(file, kept);
    for await (const line of linesOf(file, MAX_LINE)) {
      reader.take(line);
      onProgress((i + line.share) / files.length);
    }
    reader.end();
    incomplete += reader.incomplete;
    late += reader.late;
  }
  return { incomplete, late };
}

/** One file, line by line. */
class Reader {
  incomplete = 0;
  late = 0;
  #series: Numbered[] = [];
  #host: string | undefined;
  #latest = 0;
  /** Number of a line that is no JSON: allowed before a head and at the end of the file. */
  #broken: number | undefined;

  constructor(
    private readonly file: string,
    private readonly kept: Kept,
  ) {}

  take({ text, number, isWhole }: Line): void {
    if (text.trim() === '') return;
    const line = isWhole ? parsed(text) : undefined;
    const isHead = typeof line?.['recording'] === 'number';
    if (this.#broken !== undefined && !isHead) throw this.#damaged(this.#broken);
    if (line === undefined) {
      this.#broken = number;
      this.incomplete++;
      return;
    }
    this.#broken = undefined;
    if (isHead) this.#begin(line, number);
    else this.#scrape(line, number);
  }

  end(): void {
    if (this.#host === undefined) throw this.#damaged(1);
  }

  #begin({ recording, host }: Readonly<Record<string, unknown>>, number: number): void {
    if (recording !== 1)
      throw new ConfigError(
        `--recording: ${this.file} has format ${recording}: use the version of kvm-telemetry that recorded it`,
      );
    if (typeof host !== 'string') throw this.#damaged(number);
    this.#host = host;
    this.#series = [];
  }

  #scrape({ at, new: fresh = [], values }: Readonly<Record<string, unknown>>, number: number): void {
    const isScrape = typeof at === 'number' && Array.isArray(fresh) && Array.isArray(values);
    if (!isScrape || this.#host === undefined) throw this.#damaged(number);
    if (this.#series.length + fresh.length > MAX_SERIES) throw this.#damaged(number);
    for (const text of fresh) this.#series.push(this.#named(text, this.#host, number));
    if (values.length !== this.#series.length) throw this.#damaged(number);
    if (at <= this.#latest) {
      this.late++;
      return;
    }
    this.#latest = at;
    for (const [i, value] of values.entries()) {
      const series = this.#series[i];
      if (value !== null && typeof value !== 'number') throw this.#damaged(number);
      if (value !== null && series !== undefined) this.kept.add(series, at, value);
    }
  }

  #named(text: unknown, host: string, number: number): Numbered {
    try {
      return this.kept.seriesOf(String(text), host);
    } catch {
      throw this.#damaged(number);
    }
  }

  #damaged(number: number): ConfigError {
    return new ConfigError(
      `--recording: ${this.file} is damaged: line ${number} is not one of a recording: record again`,
    );
  }
}

/** undefined if the text is no JSON, or no object. */
function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
