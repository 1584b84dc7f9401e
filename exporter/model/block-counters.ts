import { getOrInsert } from '../../kernel/maps.ts';
import type { BlockStat } from '../../probes/sys-block-stat.ts';
import type { CounterSet } from './continued-counter.ts';

const RANGE = 2 ** 32;

/**
 * The kernel prints milliseconds as a 32-bit C unsigned int: block/genhd.c part_stat_show(). A busy NVMe
 * wraps it within days.
 */
const MILLISECONDS = [
  'readMs',
  'writeMs',
  'ioMs',
  'weightedIoMs',
  'discardMs',
  'flushMs',
] as const satisfies readonly (keyof BlockStat)[];

/** 64-bit counters. If one of them falls, the device has been replaced. */
const WIDE = [
  'reads',
  'writes',
  'sectorsRead',
  'sectorsWritten',
  'discards',
  'flushes',
] as const satisfies readonly (keyof BlockStat)[];

/** The counters of one device or of one path, with the milliseconds extended beyond 32 bits. */
class WideStat {
  #before: BlockStat | undefined;
  #ends: Record<(typeof MILLISECONDS)[number], number> = noEnds();

  take(stat: BlockStat): BlockStat {
    const before = this.#before;
    this.#before = stat;
    if (before !== undefined) {
      if (WIDE.some((field) => stat[field] < before[field])) this.#ends = noEnds();
      else {
        for (const field of MILLISECONDS) {
          const isPast = stat[field] < before[field] && (stat[field] - before[field]) >>> 0 < RANGE / 2;
          if (isPast) this.#ends[field] += RANGE;
        }
      }
    }
    const wide = Object.fromEntries(MILLISECONDS.map((field) => [field, stat[field] + this.#ends[field]]));
    return { ...stat, ...wide };
  }
}

function noEnds(): Record<(typeof MILLISECONDS)[number], number> {
  return { readMs: 0, writeMs: 0, ioMs: 0, weightedIoMs: 0, discardMs: 0, flushMs: 0 };
}

/** Counters of one disk, from its own statistics or from those of its paths. They never fall. */
export class BlockCounters {
  readonly #carriers = new Map<string, WideStat>();

  constructor(private readonly counters: CounterSet) {}

  /**
   * @param source of the statistics: the disk itself or its paths
   * @param stats by name of the disk or path
   */
  take(source: 'own' | 'paths', stats: ReadonlyMap<string, BlockStat>): BlockStat {
    const wide = [...stats].map(([carrier, stat]) => [carrier, this.#carrier(carrier).take(stat)] as const);
    const [first] = wide;
    if (first === undefined) throw new Error('no statistics of the disk');
    const sum = Object.keys(first[1]).map((name) => {
      const field = name as keyof BlockStat;
      const parts = wide.map(([carrier, stat]) => [carrier, stat[field]] as const);
      // inFlight is a gauge.
      if (field === 'inFlight') return [field, parts.reduce((all, [, now]) => all + now, 0)] as const;
      return [field, this.counters.take(field, source, parts)] as const;
    });
    return Object.fromEntries(sum) as unknown as BlockStat;
  }

  #carrier(name: string): WideStat {
    return getOrInsert(this.#carriers, name, () => new WideStat());
  }
}
