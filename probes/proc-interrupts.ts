import { malformed, SourceError } from './errors.ts';
import type { Host } from './host.ts';

/** One line; valid until the next one is read. */
export interface InterruptLine {
  /** `29`, or the mnemonic of an architecture line, such as `PIN`. */
  readonly id: string;
  /** Online CPUs, one per column. */
  readonly cpus: readonly number[];
  /** Counts by column, as many as the line has; each is a C unsigned int. */
  readonly counts: Float64Array;
  /** Text after the counts: chip, trigger and handlers, or the description of an architecture line. */
  readonly text: string;
}

/** A line for 8,192 CPUs has 90 KB. */
const MAX_LINE = 256 * 1024;
/** 512 CPUs and 24 NVMe devices give 18 MB. */
const MAX_FILE = 128 * 1024 * 1024;
const NEWLINE = 10;
const SPACE = 32;
const COLON = 58;
const ZERO = 48;
const NINE = 57;

/**
 * Parses `/proc/interrupts` incrementally, fs/proc/interrupts.c, kernel/irq/proc.c and arch/x86/kernel/irq.c.
 * On a large host the file has more than a million numbers.
 *
 * @example new InterruptsParser(({ id }) => ...).push(Buffer.from('      CPU0  CPU1\n 29: 15867  0 PCI-MSI 16385-edge nvme0q1\n'))
 */
export class InterruptsParser {
  #line = Buffer.allocUnsafe(4096);
  #length = 0;
  #cpus: readonly number[] | undefined;
  #counts = new Float64Array(0);

  constructor(private readonly onLine: (line: InterruptLine) => void) {}

  /** @throws SourceError malformed */
  push(piece: Buffer): void {
    let start = 0;
    for (;;) {
      const newline = piece.indexOf(NEWLINE, start);
      if (newline < 0) break;
      if (this.#length === 0) this.#take(piece, start, newline);
      else {
        this.#keep(piece, start, newline);
        const length = this.#length;
        this.#length = 0;
        this.#take(this.#line, 0, length);
      }
      start = newline + 1;
    }
    this.#keep(piece, start, piece.length);
  }

  /** @throws SourceError malformed */
  end(): void {
    const length = this.#length;
    this.#length = 0;
    if (length > 0) this.#take(this.#line, 0, length);
    if (this.#cpus === undefined) throw malformed('/proc/interrupts', '');
  }

  #keep(piece: Buffer, start: number, end: number): void {
    const length = this.#length + end - start;
    if (length > MAX_LINE) throw malformed('/proc/interrupts', piece.toString('latin1', start, start + 60));
    if (length > this.#line.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, this.#line.length * 2));
      this.#line.copy(larger, 0, 0, this.#length);
      this.#line = larger;
    }
    piece.copy(this.#line, this.#length, start, end);
    this.#length = length;
  }

  #take(bytes: Buffer, start: number, end: number): void {
    if (this.#cpus === undefined) this.#cpus = header(bytes.toString('latin1', start, end));
    else this.onLine(this.#parse(bytes, start, end, this.#cpus));
  }

  #parse(bytes: Buffer, start: number, end: number, cpus: readonly number[]): InterruptLine {
    const colon = bytes.indexOf(COLON, start);
    if (colon < 0 || colon >= end) throw malformed('/proc/interrupts', bytes.toString('latin1', start, end));
    if (this.#counts.length !== cpus.length) this.#counts = new Float64Array(cpus.length);
    let columns = 0;
    let at = colon + 1;
    for (; columns < cpus.length; columns++) {
      let digit = at;
      while (digit < end && bytes[digit] === SPACE) digit++;
      const first = digit;
      let value = 0;
      for (; digit < end; digit++) {
        const byte = bytes[digit] ?? 0;
        if (byte < ZERO || byte > NINE) break;
        value = value * 10 + byte - ZERO;
      }
      // `16-edge` is not a number.
      if (digit === first || digit - first > 20 || (digit < end && bytes[digit] !== SPACE)) break;
      this.#counts[columns] = value;
      at = digit;
    }
    return {
      id: bytes.toString('latin1', start, colon).trim(),
      cpus,
      counts: this.#counts.subarray(0, columns),
      text: bytes.toString('latin1', at, end).trim(),
    };
  }
}

function header(text: string): number[] {
  const words = text.trim().split(/\s+/);
  if (!words.every((word) => /^CPU\d{1,5}$/.test(word))) throw malformed('/proc/interrupts', text);
  return words.map((word) => Number(word.slice(3)));
}

/**
 * The handlers of an interrupt, from the text of its line: `IR-IO-APIC 16-fasteoi i801_smbus, nvme0q0` has
 * two. Chip and trigger have no separator, so the first handler is the last word of its part.
 */
export function handlersOf(text: string): string[] {
  const [first = '', ...others] = text.split(', ');
  return [first.slice(first.lastIndexOf(' ') + 1), ...others].filter((handler) => handler !== '');
}

/**
 * Reads the file in pieces. The caller may yield to the event loop between two pieces.
 *
 * @throws SourceError; `too_large` after the lines that fit
 */
export function* readInterrupts(host: Host, onLine: (line: InterruptLine) => void): Generator<void> {
  const path = `${host.roots.procfs}/interrupts`;
  const parser = new InterruptsParser(onLine);
  let length = 0;
  for (const piece of host.pieces(path)) {
    length += piece.length;
    if (length > MAX_FILE) {
      throw new SourceError('too_large', path, `more than ${MAX_FILE} bytes: the rest is dropped`);
    }
    parser.push(piece);
    yield;
  }
  parser.end();
}
