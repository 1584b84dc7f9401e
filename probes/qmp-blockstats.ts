import { z } from 'zod';
import type { QmpConnection } from './qmp-connection.ts';
import { unexpected } from './qmp-unexpected.ts';

/** A histogram that an operator enabled with `block-latency-histogram-set`. */
export interface QmpLatencyHistogram {
  /** Nanoseconds. Bin i is below boundary i; the last bin is unbounded. */
  readonly boundaries: readonly number[];
  readonly bins: readonly number[];
}

export interface QmpOperationStats {
  readonly operations: number;
  readonly bytes: number;
  readonly timeNs: number;
  /** undefined if this QEMU does not count them. */
  readonly merged: number | undefined;
  readonly failed: number | undefined;
  readonly invalid: number;
  readonly latency: QmpLatencyHistogram | undefined;
}

/** Counters of one disk since the VM started. */
export interface QmpBlockStats {
  /** Name of the drive; empty for a disk created with `-blockdev`. */
  readonly device: string;
  readonly nodeName: string;
  /** QOM path of the guest device, `/machine/peripheral/vda/virtio-backend`; empty without a device. */
  readonly qdev: string;
  readonly read: QmpOperationStats;
  readonly write: QmpOperationStats;
  readonly flush: QmpOperationStats;
  /** QEMU 4.2 and newer. */
  readonly discard: QmpOperationStats | undefined;
}

const MAX_DISKS = 4096;
/** QEMU counters have 64 bits. Sums of larger numbers could overflow to infinity. */
const number64 = z
  .number()
  .nonnegative()
  .max(2 ** 64);
const count = number64.catch(0);
/** Eleven days. Below this limit, distinct whole nanoseconds remain distinct bounds in seconds. */
const MAX_BOUNDARY_NS = 1e15;
const text = z.string().max(4096).catch('');
const histogram = z
  .object({
    boundaries: z.array(z.int().nonnegative().max(MAX_BOUNDARY_NS)).max(256),
    bins: z.array(number64).max(257),
  })
  .refine(({ boundaries, bins }) => bins.length === boundaries.length + 1)
  // Equal bounds would create duplicate series.
  .refine(({ boundaries }) => boundaries.every((bound, i) => i === 0 || bound > (boundaries[i - 1] ?? 0)))
  .optional()
  .catch(undefined);
const schema = z
  .array(z.object({ device: text, 'node-name': text, qdev: text, stats: z.record(z.string(), z.unknown()) }))
  .max(MAX_DISKS);

/**
 * Parses the response to `query-blockstats`, qapi/block-core.json. A disk without media has no node name.
 *
 * @throws SourceError malformed
 * @example parseBlockstats([{ device: '', 'node-name': 'd0', qdev: '/machine/peripheral/vda/...', stats: { rd_operations: 1 } }])
 */
export function parseBlockstats(reply: unknown): QmpBlockStats[] {
  const parsed = schema.safeParse(reply);
  if (!parsed.success) throw unexpected('query-blockstats', reply);
  return parsed.data.map(({ device, 'node-name': nodeName, qdev, stats }) => ({
    device,
    nodeName,
    qdev,
    read: operation(stats, 'rd'),
    write: operation(stats, 'wr'),
    flush: operation(stats, 'flush'),
    discard: stats['unmap_operations'] === undefined ? undefined : operation(stats, 'unmap'),
  }));
}

function operation(stats: Readonly<Record<string, unknown>>, kind: string): QmpOperationStats {
  const number = (name: string): number => count.parse(stats[name]);
  const optional = (name: string): number | undefined =>
    stats[name] === undefined ? undefined : number(name);
  return {
    operations: number(`${kind}_operations`),
    bytes: number(`${kind}_bytes`),
    timeNs: number(`${kind}_total_time_ns`),
    merged: optional(`${kind}_merged`),
    failed: optional(`failed_${kind}_operations`),
    invalid: number(`invalid_${kind}_operations`),
    latency: histogram.parse(stats[`${kind}_latency_histogram`]),
  };
}

export async function readBlockstats(qmp: QmpConnection, timeoutMs: number): Promise<QmpBlockStats[]> {
  return parseBlockstats(await qmp.execute('query-blockstats', timeoutMs));
}
