/** Work that ends sooner prints nothing. */
const QUIET_MS = 2000;
const EVERY_MS = { terminal: 200, log: 10_000 };

interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Reports the progress of long work: on a terminal one line that changes, else a line every ten seconds. */
export class Progress {
  #last: number;
  #hasLine = false;

  constructor(
    private readonly what: string,
    private readonly output: Output = process.stderr,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#last = now() + QUIET_MS - this.#every;
  }

  get #every(): number {
    return this.output.isTTY === true ? EVERY_MS.terminal : EVERY_MS.log;
  }

  /** @param share 0 to 1 */
  report(share: number): void {
    if (this.now() < this.#last + this.#every) return;
    this.#last = this.now();
    const text = `${this.what}: ${Math.floor(share * 100)}%`;
    this.output.write(this.output.isTTY === true ? `\r${text}` : `kvm-telemetry: ${text}\n`);
    this.#hasLine = this.output.isTTY === true;
  }

  /** Erases the line of a terminal. */
  end(): void {
    if (this.#hasLine) this.output.write('\r\x1b[K');
  }
}
