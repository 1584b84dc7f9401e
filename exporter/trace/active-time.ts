/** The share of the time in which a trace set counts. */
export class ActiveTime {
  #since: number | undefined;
  #activeMs = 0;
  #activeSince: number | undefined;

  /** @param now milliseconds of a monotonic clock */
  constructor(private readonly now: () => number) {}

  /** Starts the period for the ratio. Later calls change nothing. */
  begin(): void {
    this.#since ??= this.now();
  }

  resume(): void {
    this.#activeSince ??= this.now();
  }

  pause(): void {
    if (this.#activeSince !== undefined) this.#activeMs += this.now() - this.#activeSince;
    this.#activeSince = undefined;
  }

  get ratio(): number {
    if (this.#since === undefined) return 0;
    const now = this.now();
    const active = this.#activeMs + (this.#activeSince === undefined ? 0 : now - this.#activeSince);
    return now > this.#since ? Math.min(1, active / (now - this.#since)) : 0;
  }
}
