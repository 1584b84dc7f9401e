import { z } from 'zod';
import { MSEC_PER_SEC } from '../kernel/units.ts';
import type { QmpConnection } from './qmp-connection.ts';
import { ifAnswered, unexpected } from './qmp-unexpected.ts';

/** A live migration that QEMU does or did. */
export interface QmpMigration {
  /** MigrationStatus of qapi/migration.json: `setup`, `active`, `completed`, `failed`, ... */
  readonly status: string;
  /** undefined before it begins to send memory. */
  readonly memory: MigratedMemory | undefined;
  /** Pause of the guest at the end that QEMU expects, in seconds. undefined before QEMU has estimated it. */
  readonly expectedDowntime: number | undefined;
  /** Seconds since it began, or that it took. Only the source reports it. */
  readonly duration: number | undefined;
  /** Pause of the guest, in seconds, after it completed. Only the source reports it. */
  readonly downtime: number | undefined;
}

export interface MigratedMemory {
  /** Bytes. */
  readonly total: number;
  readonly transferred: number;
  readonly remaining: number;
  /** Bytes a second that the guest writes to again. undefined if QEMU has not measured it. */
  readonly dirtyRate: number | undefined;
  /** Bytes a second over the network. undefined if libvirt has not measured it. */
  readonly rate: number | undefined;
}

const count = z.number().nonnegative().finite();
const reply = z.object({
  status: z
    .string()
    .regex(/^[a-z-]{1,32}$/)
    .optional(),
  'expected-downtime': count.optional(),
  'setup-time': count.default(0),
  'total-time': count.optional(),
  downtime: count.optional(),
  ram: z
    .object({
      total: count,
      transferred: count,
      remaining: count,
      'dirty-pages-rate': count,
      'dirty-sync-count': count,
      'page-size': count,
      mbps: z.number().nonnegative(),
    })
    .optional(),
});
const BITS = 8;

/** QEMU reports 0 until it has measured. The log of dirty pages is first read before the first pass over the memory. */
const MEASURED_SYNCS = 2;
/** It measures over at least a second, at the end of a pass: migration/ram.c migration_bitmap_sync(). Later passes are shorter. */
const MEASURED_MS = 2000;

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
  const { status, ram, downtime } = parsed.data;
  if (status === undefined || status === 'none') return undefined;
  return {
    status,
    memory: ram && {
      total: ram.total,
      transferred: ram.transferred,
      remaining: ram.remaining,
      dirtyRate: dirtyRateOf(parsed.data),
      // Megabits of 10^6.
      rate: (ram.mbps * 1e6) / BITS,
    },
    // Without a dirty rate, expected-downtime is only the configured limit.
    expectedDowntime: ram?.['dirty-pages-rate'] ? seconds(parsed.data['expected-downtime']) : undefined,
    duration: seconds(parsed.data['total-time']),
    downtime: seconds(downtime),
  };
}

function dirtyRateOf({ ram, ...times }: z.infer<typeof reply>): number | undefined {
  if (ram === undefined) return undefined;
  const rate = ram['dirty-pages-rate'] * ram['page-size'];
  const sendingMs = (times['total-time'] ?? 0) - times['setup-time'];
  const isMeasured = ram['dirty-sync-count'] >= MEASURED_SYNCS && sendingMs >= MEASURED_MS;
  return rate > 0 || isMeasured ? rate : undefined;
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / MSEC_PER_SEC;
}

/** States in which a QEMU that receives a VM reports no memory, and one that sends it does: migration/migration.c. */
const WITH_MEMORY = /^(?:active|completed|device|pre-switchover|postcopy-)/;

/**
 * Whether QEMU receives or received the VM. The response does not name the direction.
 *
 * @param state of `query-status`
 */
export function isIncoming({ status, memory }: QmpMigration, state: string): boolean {
  return state === 'inmigrate' || (memory === undefined && WITH_MEMORY.test(status));
}

/**
 * @returns undefined also if this QEMU refuses the command, because a rare migration must not cost the statistics.
 */
export function readMigration(qmp: QmpConnection, timeoutMs: number): Promise<QmpMigration | undefined> {
  return ifAnswered(qmp.execute('query-migrate', timeoutMs).then(parseMigration));
}
