const RANGE = 2 ** 32;

/**
 * Counts interrupts of one type over all CPUs in 64 bits. The kernel counts each line on each CPU in 32 bits,
 * so the growth of each column is computed modulo 2^32. An offline CPU has no column; its count continues
 * when it comes back. A line that is set up again counts from zero.
 */
export class InterruptCounter {
  /** By line, then by CPU: the last reading modulo 2^32, and whether there was one. */
  readonly #lines = new Map<string, { last: Uint32Array; seen: Uint8Array }>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** @param counts by column; `cpus[column]` is its CPU */
  take(line: string, cpus: readonly number[], counts: Float64Array): void {
    const { last, seen } = this.#room(line, cpus);
    let grown = 0;
    let all = 0;
    let isAnew = false;
    for (let column = 0; column < counts.length; column++) {
      const cpu = cpus[column] ?? 0;
      const count = counts[column] ?? 0;
      all += count;
      if (seen[cpu] === 0) grown += count;
      else {
        const growth = (count - (last[cpu] ?? 0)) >>> 0;
        // No CPU takes 2^31 interrupts between two readings: the column restarted, and with it the whole
        // line.
        if (growth >= RANGE / 2) isAnew = true;
        grown += growth;
      }
      last[cpu] = count >>> 0;
      seen[cpu] = 1;
    }
    this.#total += isAnew ? all : grown;
  }

  #room(line: string, cpus: readonly number[]): { last: Uint32Array; seen: Uint8Array } {
    const size = (cpus.at(-1) ?? 0) + 1;
    const known = this.#lines.get(line);
    if (known !== undefined && known.last.length >= size) return known;
    const room = { last: new Uint32Array(size), seen: new Uint8Array(size) };
    if (known !== undefined) {
      room.last.set(known.last);
      room.seen.set(known.seen);
    }
    this.#lines.set(line, room);
    return room;
  }
}
