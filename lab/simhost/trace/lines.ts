import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs';

interface Old {
  readonly fd: number;
  at: number;
  steps: number;
}

/** For so many steps a file that was replaced is still looked at: who opened it before may write to it yet. */
const STEPS = 2;

/**
 * A file to which others append lines, as they write commands to tracefs. What it shows is decided here; what comes
 * behind that is new. It is replaced, never rewritten: nothing that is appended meanwhile is lost.
 */
export class CommandFile {
  readonly #old: Old[] = [];
  /** Bytes that were read of it. */
  #length = 0;

  constructor(
    readonly path: string,
    /** What stands in it. */
    private shown: string,
    /** Puts a new text into its place. */
    private readonly replace: (text: string) => void,
  ) {}

  /** @returns lines that were appended since the last time */
  take(): string[] {
    const lines = this.#old.flatMap((old) => linesOf(readFrom(old)));
    let text: string;
    try {
      // Most have nothing new, most of the time, and this is called for all of them.
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

  /** Shows another text; the lines that were taken are gone. */
  show(text: string): void {
    const fd = openSync(this.path, 'r');
    this.#old.push({ fd, at: this.#length, steps: 0 });
    this.shown = text;
    this.#length = text.length;
    this.replace(text);
  }

  /** Lets go of files that were replaced a while ago: called once in a step. */
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
