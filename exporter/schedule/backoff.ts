/** Exponential back-off: the time until the next try doubles with each failure, up to a limit. */
export class Backoff {
  #waitMs = 0;
  #at = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds of a monotonic clock */
  constructor(
    private readonly firstMs: number,
    private readonly mostMs: number,
    private readonly now: () => number,
  ) {}

  /** Whether the wait after the last failure is over. True if nothing has failed. */
  get isOver(): boolean {
    return this.now() >= this.#at;
  }

  failed(): void {
    this.#waitMs = Math.min(this.mostMs, this.#waitMs * 2 || this.firstMs);
    this.#at = this.now() + this.#waitMs;
  }

  succeeded(): void {
    this.#waitMs = 0;
    this.#at = Number.NEGATIVE_INFINITY;
  }
}
