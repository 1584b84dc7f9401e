/** The last moments of something, as many as rates need. */
export class Past<T extends { readonly at: number }> {
  #kept: T[] = [];
  #last: T | undefined;

  /** The last one that was told, even where nothing is to be compared with it. */
  get last(): T | undefined {
    return this.#last;
  }

  clear(): void {
    this.#kept = [];
  }

  /**
   * @param windowMs what to compare with is so old, if there is one; else the oldest there is
   * @param gapMs what is followed by so long a silence is not compared with
   * @returns undefined and NaN where there is nothing to compare with
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
