import { MSEC_PER_SEC } from '../kernel/units.ts';
import { malformed } from './errors.ts';
import type { MigratedMemory, QmpMigration } from './qmp-migrate.ts';

/** A job of libvirt as its domjobinfo reports it, in the words of QMP's query-migrate. */
export interface VirshJob extends QmpMigration {
  /** virDomainJobOperation; undefined: libvirt before 3.3 does not report it. */
  readonly operation: 'incoming' | 'outgoing' | 'other' | undefined;
  /** Whether it has counts of pages. A job in which QEMU migrates has them since libvirt 1.0.3, a dump by QEMU itself has none. */
  readonly hasPages: boolean;
}

/** virDomainJobType, include/libvirt/libvirt-domain.h, by number and in the words of virsh. */
const STATUS: ReadonlyMap<string, string> = new Map([
  ['1', 'active'],
  ['Bounded', 'active'],
  ['2', 'active'],
  ['Unbounded', 'active'],
  ['3', 'completed'],
  ['Completed', 'completed'],
  ['4', 'failed'],
  ['Failed', 'failed'],
  ['5', 'cancelled'],
  ['Cancelled', 'cancelled'],
]);
const NONE: ReadonlySet<string> = new Set(['0', 'None']);
const INCOMING: ReadonlySet<string> = new Set(['4', 'Incoming migration']);
const OUTGOING: ReadonlySet<string> = new Set(['5', 'Outgoing migration']);
const POWER: ReadonlyMap<string, number> = new Map(
  ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'].map((unit, power) => [unit, 1024 ** power]),
);
const LINE = /^([A-Za-z_][A-Za-z_/ ]{0,40}): {0,40}(\S[^\n]{0,80})$/;

/**
 * Parses `LC_ALL=C virsh -r domjobinfo --rawstats`, tools/virsh-domain.c cmdDomjobinfo(). A virsh without `--rawstats` prints the
 * same with words and units, rounded to three decimals.
 *
 * @returns undefined if there is no job
 * @throws SourceError malformed
 * @see https://libvirt.org/manpages/virsh.html#domjobinfo
 * @example parseDomjobinfo('Job type: 2\n\noperation: 5\nmemory_total: 4096\n')
 */
export function parseDomjobinfo(text: string): VirshJob | undefined {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, value] = LINE.exec(line.trimEnd()) ?? [];
    if (name !== undefined && value !== undefined) values.set(name, value);
  }
  const type = values.get('Job type') ?? '';
  if (NONE.has(type)) return undefined;
  const status = STATUS.get(type);
  if (status === undefined) throw malformed('virsh domjobinfo', text);
  const first = (...names: readonly string[]): number | undefined =>
    names.map((name) => amount(values.get(name))).find((value) => value !== undefined);
  const memory = memoryOf(first);
  const isRunning = status === 'active';
  return {
    status,
    operation: operationOf(values.get('operation') ?? values.get('Operation')),
    memory,
    hasPages: first('memory_normal', 'Normal pages') !== undefined,
    // As with QMP: without a dirty rate the value is only the configured limit.
    expectedDowntime:
      isRunning && memory?.dirtyRate !== undefined
        ? seconds(first('downtime', 'Expected downtime'))
        : undefined,
    duration: seconds(first('time_elapsed', 'Time elapsed')),
    downtime: isRunning ? undefined : seconds(first('downtime', 'Total downtime')),
  };
}

/** @returns undefined before the job handles memory, and for one that never does, such as a backup */
function memoryOf(first: (...names: readonly string[]) => number | undefined): MigratedMemory | undefined {
  const total = first('memory_total', 'Memory total');
  const transferred = first('memory_processed', 'Memory processed');
  const remaining = first('memory_remaining', 'Memory remaining');
  if (!total || transferred === undefined || remaining === undefined) return undefined;
  const dirtied = first('memory_dirty_rate', 'Dirty rate');
  const pageSize = first('memory_page_size', 'Page size');
  return {
    total,
    transferred,
    remaining,
    // libvirt prints 0 before QEMU has measured it as well.
    dirtyRate: dirtied && pageSize ? dirtied * pageSize : undefined,
    rate: first('memory_bps', 'Memory bandwidth'),
  };
}

/** `52.047 MiB`, `253          pages/s`, `798` */
function amount(value: string | undefined): number | undefined {
  const [, number, unit = ''] = /^(\d{1,20}(?:\.\d{1,9})?)(?: +(\S{1,10}))?$/.exec(value ?? '') ?? [];
  if (number === undefined) return undefined;
  return Number(number) * (POWER.get(unit.replace(/\/s$/, '')) ?? 1);
}

function operationOf(value: string | undefined): VirshJob['operation'] {
  if (value === undefined) return undefined;
  if (INCOMING.has(value)) return 'incoming';
  return OUTGOING.has(value) ? 'outgoing' : 'other';
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / MSEC_PER_SEC;
}
