import { z } from 'zod';
import { MSEC_PER_SEC } from '../kernel/units.ts';
import { SourceError } from './errors.ts';
import type { QmpConnection } from './qmp-connection.ts';
import { unexpected } from './qmp-unexpected.ts';

/** A live migration that QEMU does or did. */
export interface QmpMigration {
  /** MigrationStatus of qapi/migration.json: `setup`, `active`, `completed`, `failed`, ... */
  readonly status: string;
  /** undefined before it begins to send memory. */
  readonly memory: MigratedMemory | undefined;
  /** Expected pause of the guest at the end, in seconds. */
  readonly expectedDowntime: number | undefined;
}

export interface MigratedMemory {
  /** Bytes. */
  readonly total: number;
  readonly transferred: number;
  readonly remaining: number;
  /** Bytes a second that the guest writes to again. */
  readonly dirtyRate: number;
  /** Bytes a second over the network. */
  readonly rate: number;
}

const count = z.number().nonnegative().finite();
const reply = z.object({
  status: z
    .string()
    .regex(/^[a-z-]{1,32}$/)
    .optional(),
  'expected-downtime': count.optional(),
  ram: z
    .object({
      total: count,
      transferred: count,
      remaining: count,
      'dirty-pages-rate': count,
      'page-size': count,
      mbps: z.number().nonnegative(),
    })
    .optional(),
});
const BITS = 8;

/**
 * Parses the response to `query-migrate`.
 *
 * @returns undefined if QEMU never migrated the VM
 * @throws SourceError malformed
 * @example parseMigration({ status: 'active', ram: { total: 4096, ... } })
 */
export function parseMigration(value: unknown): QmpMigration | undefined {
  const parsed = reply.safeParse(value);
  if (!parsed.success) throw unexpected('query-migrate', value);
  const { status, ram, 'expected-downtime': downtime } = parsed.data;
  if (status === undefined || status === 'none') return undefined;
  return {
    status,
    memory: ram && {
      total: ram.total,
      transferred: ram.transferred,
      remaining: ram.remaining,
      dirtyRate: ram['dirty-pages-rate'] * ram['page-size'],
      // Megabits of 10^6.
      rate: (ram.mbps * 1e6) / BITS,
    },
    expectedDowntime: downtime === undefined ? undefined : downtime / MSEC_PER_SEC,
  };
}

/** @returns undefined also if this QEMU refuses the command: a migration is rare, and the statistics are not. */
export async function readMigration(
  qmp: QmpConnection,
  timeoutMs: number,
): Promise<QmpMigration | undefined> {
  try {
    return parseMigration(await qmp.execute('query-migrate', timeoutMs));
  } catch (error) {
    if (error instanceof SourceError && ['absent', 'failed', 'malformed'].includes(error.kind))
      return undefined;
    throw error;
  }
}
