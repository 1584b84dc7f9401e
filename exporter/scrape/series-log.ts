import type { Logger } from 'pino';
import type { Cut } from '../metrics/shares.ts';

/** A VM that stays near the limit is not logged more often than this. */
const AGAIN_MS = 3_600_000;
/** Maximum number of names in one line. */
const MAX_NAMED = 20;

/** Logs the names whose series exceed limits.maxSeries, when the excess starts. */
export class SeriesLog {
  readonly #namedAt = new Map<string, number>();

  constructor(
    private readonly logger: Pick<Logger, 'warn'>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  update(cuts: readonly Cut[]): void {
    const now = this.now();
    for (const [owner, at] of this.#namedAt) if (now - at >= AGAIN_MS) this.#namedAt.delete(owner);
    const fresh = cuts.filter(({ owner }) => !this.#namedAt.has(owner));
    if (fresh.length === 0) return;
    for (const { owner } of fresh) this.#namedAt.set(owner, now);
    const cut = fresh.slice(0, MAX_NAMED).map(({ owner }) => (owner === '' ? 'the host as a whole' : owner));
    const series = fresh.reduce((sum, { dropped }) => sum + dropped, 0);
    const message = 'limits.maxSeries reached: dropped series of those that exceed their share';
    this.logger.warn({ cut, others: fresh.length - cut.length, series }, message);
  }
}
