import { MSEC_PER_SEC } from '../../kernel/units.ts';

interface Known {
  readonly at: number;
  readonly value: number;
  /** Number of consecutive readings below the limit; undefined while nothing grows. */
  readonly quiet: number | undefined;
}

/** A number of a VM began or stopped to grow fast. */
export interface GrowthChange {
  readonly key: string;
  readonly began: boolean;
  /** Growth since the last reading. */
  readonly grown: number;
  readonly seconds: number;
}

/** Number of consecutive slow readings that end the growth. */
const QUIET_READINGS = 3;

/** Notices when a number grows faster than a limit, and when it no longer does. */
export class GrowthWatch {
  #known = new Map<string, Known>();

  constructor(private readonly perSecond: number) {}

  /**
   * Call it with all keys. A key without a reading is forgotten.
   *
   * @param at milliseconds of a monotonic clock
   */
  changes(readings: ReadonlyMap<string, number>, at: number): GrowthChange[] {
    const changes: GrowthChange[] = [];
    const next = new Map<string, Known>();
    for (const [key, value] of readings) {
      const last = this.#known.get(key);
      const seconds = last === undefined ? 0 : (at - last.at) / MSEC_PER_SEC;
      if (last === undefined || seconds <= 0) {
        next.set(key, last ?? { at, value, quiet: undefined });
        continue;
      }
      const grown = value - last.value;
      const isFast = grown / seconds >= this.perSecond;
      const quiet = isFast ? 0 : last.quiet === undefined ? undefined : last.quiet + 1;
      const ends = quiet !== undefined && quiet >= QUIET_READINGS;
      if (isFast && last.quiet === undefined) changes.push({ key, began: true, grown, seconds });
      if (ends) changes.push({ key, began: false, grown, seconds });
      next.set(key, { at, value, quiet: ends ? undefined : quiet });
    }
    this.#known = next;
    return changes;
  }
}
