import { z } from 'zod';
import type { QmpConnection } from './qmp-connection.ts';
import { unexpected } from './qmp-unexpected.ts';

/** Type of a value according to the schema: QEMU's StatsType. */
export type StatisticType =
  | 'cumulative'
  | 'instant'
  | 'peak'
  | 'linear-histogram'
  | 'log2-histogram'
  | 'unknown';

/** Statistics of one provider and target, by name, in the provider's unit (nanoseconds for KVM's times). */
export interface QmpStatistics {
  readonly values: ReadonlyMap<string, number>;
  /** Counts by bucket. */
  readonly histograms: ReadonlyMap<string, readonly number[]>;
}

/** Statistics of one vCPU. `query-stats` lists vCPUs in arbitrary order; the path identifies the vCPU. */
export interface QmpVcpuStatistics extends QmpStatistics {
  readonly qomPath: string;
}

/** More than any KVM has (60), with room for future ones. */
const MAX_STATISTICS = 500;
const MAX_BUCKETS = 1024;
const MAX_VCPUS = 4096;
/** KVM counters have 64 bits. Sums of larger numbers could overflow to infinity. */
const MAX_COUNT = 2 ** 64;
const NAME = /^[a-z][a-z0-9_]{0,63}$/;

const schemas = z
  .array(
    z.object({
      provider: z.string(),
      target: z.string(),
      stats: z.array(z.object({ name: z.string(), type: z.string() })).max(MAX_STATISTICS),
    }),
  )
  .max(64);

const TYPES: ReadonlySet<string> = new Set([
  'cumulative',
  'instant',
  'peak',
  'linear-histogram',
  'log2-histogram',
]);

/**
 * Parses the response to `query-stats-schemas` (QEMU 7.1, qapi/stats.json): KVM's statistics' types by name.
 *
 * @throws SourceError malformed
 * @example parseStatsSchemas([{ provider: 'kvm', target: 'vcpu', stats: [{ name: 'exits', type: 'cumulative' }] }])
 */
export function parseStatsSchemas(reply: unknown): Map<string, StatisticType> {
  const parsed = schemas.safeParse(reply);
  if (!parsed.success) throw unexpected('query-stats-schemas', reply);
  const types = new Map<string, StatisticType>();
  for (const schema of parsed.data) {
    if (schema.provider !== 'kvm') continue;
    for (const { name, type } of schema.stats) {
      if (NAME.test(name)) types.set(name, TYPES.has(type) ? (type as StatisticType) : 'unknown');
    }
  }
  return types;
}

/**
 * Parses the response to `query-stats` with target vcpu: KVM's statistics of each vCPU. Skips other providers
 * and statistics of unknown form. Does not use a schema library, which takes 20 times as long in each scrape.
 *
 * @throws SourceError malformed
 * @example parseVcpuStats([{ provider: 'kvm', 'qom-path': '/machine/unattached/device[0]', stats: [{ name: 'exits', value: 7 }] }])
 */
export function parseVcpuStats(reply: unknown): QmpVcpuStatistics[] {
  const vcpus: QmpVcpuStatistics[] = [];
  for (const result of results(reply, 'query-stats vcpu')) {
    const qomPath = result['qom-path'];
    if (typeof qomPath === 'string' && qomPath.length <= 512) vcpus.push({ qomPath, ...statistics(result) });
  }
  return vcpus;
}

/** KVM's statistics of the VM itself, from `query-stats` with target vm. @throws SourceError malformed */
export function parseVmStats(reply: unknown): QmpStatistics {
  const [result] = results(reply, 'query-stats vm');
  return result === undefined ? { values: new Map(), histograms: new Map() } : statistics(result);
}

/** The results of the provider `kvm`. */
function results(reply: unknown, command: string): Record<string, unknown>[] {
  if (!Array.isArray(reply) || reply.length > MAX_VCPUS) throw unexpected(command, reply);
  const own: Record<string, unknown>[] = [];
  for (const result of reply as unknown[]) {
    if (typeof result !== 'object' || result === null) throw unexpected(command, result);
    const { provider, stats } = result as Record<string, unknown>;
    if (!Array.isArray(stats) || stats.length > MAX_STATISTICS) throw unexpected(command, result);
    if (provider === 'kvm') own.push(result as Record<string, unknown>);
  }
  return own;
}

function statistics({ stats }: Record<string, unknown>): QmpStatistics {
  const values = new Map<string, number>();
  const histograms = new Map<string, readonly number[]>();
  for (const entry of stats as unknown[]) {
    if (typeof entry !== 'object' || entry === null) continue;
    const { name, value } = entry as Record<string, unknown>;
    if (typeof name !== 'string' || !NAME.test(name)) continue;
    if (typeof value === 'boolean') values.set(name, Number(value));
    else if (isCount(value)) values.set(name, value);
    else if (Array.isArray(value) && value.length <= MAX_BUCKETS && value.every(isCount))
      histograms.set(name, value);
  }
  return { values, histograms };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_COUNT;
}

export async function readStatsSchemas(
  qmp: QmpConnection,
  timeoutMs: number,
): Promise<Map<string, StatisticType>> {
  return parseStatsSchemas(await qmp.execute('query-stats-schemas', timeoutMs));
}

export async function readVcpuStats(qmp: QmpConnection, timeoutMs: number): Promise<QmpVcpuStatistics[]> {
  return parseVcpuStats(await qmp.execute('query-stats', timeoutMs, { target: 'vcpu' }));
}

export async function readVmStats(qmp: QmpConnection, timeoutMs: number): Promise<QmpStatistics> {
  return parseVmStats(await qmp.execute('query-stats', timeoutMs, { target: 'vm' }));
}
