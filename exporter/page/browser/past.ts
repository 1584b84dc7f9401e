/** Recent samples, as many as rates need. */
export class Past<T extends { readonly at: number }> {
  #kept: T[] = [];
  #last: T | undefined;

  /** The last sample, even if there is no other sample to compare it with. */
  get last(): T | undefined {
    return this.#last;
  }

  clear(): void {
    this.#kept = [];
  }

  /**
   * @param windowMs preferred age of the sample to compare with; otherwise the oldest one is used
   * @param gapMs samples before a gap longer than this are not used
   * @returns undefined and NaN if there is no sample to compare with
   */
  take(now: T, windowMs: number, gapMs: number): { before: T | undefined; seconds: number } {
    const latest = this.#kept.at(-1);
    if (latest !== undefined && (now.at - latest.at > gapMs || now.at <= latest.at)) this.#kept = [];
    const start = this.#kept.findLastIndex(({ at }) => at <= now.at - windowMs);
    if (start > 0) this.#kept.splice(0, start);
    const [before] = this.#kept;
    this.#kept.push(now);
    this.#last = now;
    return { before, seconds: before === undefined ? Number.NaN : (now.at - before.at) / 1000 };
  }
}
