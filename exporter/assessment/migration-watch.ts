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
      const now = stateOf(vm, threadsOf(vm), migrationOf(vm));
      next.set(vm.key, now);
      if (before !== undefined) events.push(...changesOf(before, now, migrationOf(vm)?.direction));
    }
    for (const [key, { label, direction }] of this.#known)
      if (direction !== undefined && !next.has(key))
        events.push(event('migration_ended', label, direction, 'the VM ended here'));
    this.#known = next;
    return events;
  }
}

function stateOf({ label }: Vm, threads: Iterable<VmThread>, migration: Migration | undefined): Known {
  if ([...threads].some(({ comm }) => SENDS.test(comm))) return { label, direction: 'outgoing', outcome: '' };
  if (migration === undefined) return { label, direction: undefined, outcome: '' };
  if (!hasEnded(migration.status)) return { label, direction: migration.direction, outcome: '' };
  return { label, direction: undefined, outcome: outcomeOf(migration) };
}

/** @param last direction of the last migration that the monitor reports */
function changesOf(before: Known, now: Known, last: Migration['direction'] | undefined): HostEvent[] {
  if (before.direction === now.direction) {
    // It began and ended between two rounds.
    const isNew = now.direction === undefined && now.outcome !== '' && now.outcome !== before.outcome;
    return isNew ? [event('migration_ended', now.label, last ?? 'outgoing', now.outcome)] : [];
  }
  return [
    ...(before.direction === undefined
      ? []
      : [event('migration_ended', now.label, before.direction, now.outcome)]),
    ...(now.direction === undefined ? [] : [event('migration_began', now.label, now.direction, '')]),
  ];
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
