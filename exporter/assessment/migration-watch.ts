import type { HostEvent } from '../model/host-event.ts';
import type { Vm, VmThread } from '../model/vm.ts';
import { hasEnded, type Migration } from '../model/vm-statistics.ts';

/** The thread that sends a VM's memory: migration/migration.c, its name since QEMU 9.1 and before. */
const SENDS = /^(?:mig\/src\/main|live_migration)$/;

interface Known {
  readonly label: string;
  /** Of the live migration that runs. */
  readonly direction: Migration['direction'] | undefined;
  /** How the last one ended; empty: it runs, there was none, or the monitor did not report it. */
  readonly outcome: string;
  /**
   * Of the last round without a migration. If a migration ends while QEMU responds, the response still lacks its end.
   */
  readonly endings: Migration['endings'];
}

/**
 * Notices when QEMU sends a VM to another host, which logs dirty pages at the cost of exits, or receives one. Without a monitor only the
 * former is known, by the thread that QEMU names with debug-threads=on.
 */
export class MigrationWatch {
  #known: ReadonlyMap<string, Known> = new Map();

  /**
   * @param threadsOf the threads as last observed
   * @param migrationOf as last reported by the monitor
   */
  changes(
    vms: readonly Vm[],
    threadsOf: (vm: Vm) => Iterable<VmThread>,
    migrationOf: (vm: Vm) => Migration | undefined,
  ): HostEvent[] {
    const next = new Map<string, Known>();
    const events: HostEvent[] = [];
    for (const vm of vms) {
      const before = this.#known.get(vm.key);
      const migration = migrationOf(vm);
      const running = runningOf(threadsOf(vm), migration);
      const now: Known = {
        label: vm.label,
        direction: running,
        outcome: running === undefined && migration !== undefined ? outcomeOf(migration) : '',
        endings: running === undefined || before === undefined ? migration?.endings : before.endings,
      };
      next.set(vm.key, now);
      if (before !== undefined) events.push(...changesOf(before, now, migration?.direction));
    }
    for (const [key, { label, direction }] of this.#known)
      if (direction !== undefined && !next.has(key))
        events.push(event('migration_ended', label, direction, 'the VM ended here'));
    this.#known = next;
    return events;
  }
}

/** @returns the direction of the migration that runs */
function runningOf(
  threads: Iterable<VmThread>,
  migration: Migration | undefined,
): Migration['direction'] | undefined {
  if ([...threads].some(({ comm }) => SENDS.test(comm))) return 'outgoing';
  return migration === undefined || hasEnded(migration.status) ? undefined : migration.direction;
}

/** @param last direction of the last migration that the monitor reports */
function changesOf(before: Known, now: Known, last: Migration['direction'] | undefined): HostEvent[] {
  const direction = before.direction ?? last ?? 'outgoing';
  const ended = outcomesOf(before, now).map((how) => event('migration_ended', now.label, direction, how));
  const began = now.direction !== undefined && now.direction !== before.direction;
  return began ? [...ended, event('migration_began', now.label, now.direction, '')] : ended;
}

/** How the migrations ended since the round before. */
function outcomesOf(before: Known, now: Known): readonly string[] {
  if (now.direction !== undefined && now.direction === before.direction) return [];
  const announced = (now.endings?.count ?? 0) - (before.endings?.count ?? 0);
  // Only their status is known of those before the last one.
  if (now.direction === undefined && announced > 1)
    return [...(now.endings?.last.slice(-announced, -1) ?? []), now.outcome];
  // Two with the same result in different rounds, or one that began and ended between two rounds.
  const isNew = announced === 1 || (now.outcome !== '' && now.outcome !== before.outcome);
  return before.direction !== undefined || (now.direction === undefined && isNew) ? [now.outcome] : [];
}

/** `completed in 2.531 s, the guest paused for 3 ms` */
function outcomeOf({ status, duration, downtime }: Migration): string {
  const took = duration === undefined ? '' : ` in ${duration} s`;
  const paused = downtime === undefined ? '' : `, the guest paused for ${Math.round(downtime * 1000)} ms`;
  return `${status}${took}${paused}`;
}

function event(
  kind: 'migration_began' | 'migration_ended',
  vm: string,
  what: string,
  evidence: string,
): HostEvent {
  return { kind, vm, what, evidence };
}
