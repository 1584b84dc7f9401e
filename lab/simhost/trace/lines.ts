import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs';

interface Old {
  readonly fd: number;
  at: number;
  steps: number;
}

/**
 * A replaced file is still read for this many steps: a process that opened it earlier may still write to it.
 */
const STEPS = 2;

/**
 * A file to which clients append lines, such as commands for tracefs. This class sets its content; bytes
 * after that content are new lines. The file is replaced, never rewritten, so that lines appended at the same
 * time are not lost.
 */
export class CommandFile {
  readonly #old: Old[] = [];
  /** Number of bytes read. */
  #length: number;

  constructor(
    readonly path: string,
    /** Current content. */
    private shown: string,
    /** Replaces the content of the file. */
    private readonly replace: (text: string) => void,
  ) {
    this.#length = shown.length;
  }

  /** @returns lines appended since the last call */
  take(): string[] {
    const lines = this.#old.flatMap((old) => linesOf(readFrom(old)));
    let text: string;
    try {
      // Called for every file; most have no new lines.
      if (statSync(this.path).size === this.#length) return lines;
      text = readFileSync(this.path, 'latin1');
    } catch {
      return lines;
    }
    this.#length = text.length;
    return text === this.shown
      ? lines
      : [...lines, ...linesOf(text.startsWith(this.shown) ? text.slice(this.shown.length) : text)];
  }

  /** Sets the content. Lines that were taken are gone. */
  show(text: string): void {
    const fd = openSync(this.path, 'r');
    this.#old.push({ fd, at: this.#length, steps: 0 });
    this.shown = text;
    this.#length = text.length;
    this.replace(text);
  }

  /** Closes files that were replaced some steps ago. Call it once per step. */
  age(): void {
    for (const old of this.#old.splice(0)) {
      if (++old.steps < STEPS) this.#old.push(old);
      else closeSync(old.fd);
    }
  }

  close(): void {
    for (const { fd } of this.#old.splice(0)) closeSync(fd);
  }
}

function readFrom(old: Old): string {
  const { size } = fstatSync(old.fd);
  if (size <= old.at) return '';
  const buffer = Buffer.alloc(size - old.at);
  old.at += readSync(old.fd, buffer, 0, buffer.length, old.at);
  return buffer.toString('latin1');
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}
