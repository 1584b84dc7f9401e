import { malformed } from './errors.ts';
import type { Host } from './host.ts';

/** Counters since the device appeared. A sector is 512 bytes, whatever the device's block size. */
export interface BlockStat {
  readonly reads: number;
  readonly readsMerged: number;
  readonly sectorsRead: number;
  /** Milliseconds, summed over requests, like the other `...Ms`. The kernel prints them modulo 2^32. */
  readonly readMs: number;
  readonly writes: number;
  readonly writesMerged: number;
  readonly sectorsWritten: number;
  readonly writeMs: number;
  readonly inFlight: number;
  /** Milliseconds with at least one request in flight. */
  readonly ioMs: number;
  /** Milliseconds weighted by requests in flight. */
  readonly weightedIoMs: number;
  /** The kernel counts discards since 4.18 and flushes since 5.5. */
  readonly discards: number;
  readonly discardsMerged: number;
  readonly sectorsDiscarded: number;
  readonly discardMs: number;
  readonly flushes: number;
  readonly flushMs: number;
}

const FIELDS = [
  'reads',
  'readsMerged',
  'sectorsRead',
  'readMs',
  'writes',
  'writesMerged',
  'sectorsWritten',
  'writeMs',
  'inFlight',
  'ioMs',
  'weightedIoMs',
  'discards',
  'discardsMerged',
  'sectorsDiscarded',
  'discardMs',
  'flushes',
  'flushMs',
] as const satisfies readonly (keyof BlockStat)[];
/** Linux before 4.18, before 5.5, and since. */
const FIELD_COUNTS: readonly number[] = [11, 15, FIELDS.length];

/**
 * Parses `/sys/block/<disk>/stat`, block/genhd.c part_stat_show(). Fields that the kernel lacks are 0.
 * Additional fields of newer kernels are ignored.
 *
 * @throws SourceError malformed
 * @see https://docs.kernel.org/block/stat.html
 * @example parseBlockStat('   19456  0  155627  5260  6482  0  51856  1845  0  7144  7105  0 0 0 0 0 0\n')
 */
export function parseBlockStat(text: string): BlockStat {
  const words = text.trim().split(/\s+/);
  const isComplete = words.length > FIELDS.length || FIELD_COUNTS.includes(words.length);
  if (!isComplete || words.length > 64 || !words.every((word) => /^\d{1,20}$/.test(word))) {
    throw malformed('/sys/block/<disk>/stat', text);
  }
  return Object.fromEntries(FIELDS.map((field, i) => [field, Number(words[i] ?? 0)])) as unknown as BlockStat;
}

export function readBlockStat(host: Host, disk: string): BlockStat {
  return parseBlockStat(host.attribute(`${host.roots.sysfs}/block/${disk}/stat`));
}
