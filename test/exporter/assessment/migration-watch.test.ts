import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MigrationWatch } from '../../../exporter/assessment/migration-watch.ts';
import type { Vm, VmThread } from '../../../exporter/model/vm.ts';
import type { Migration } from '../../../exporter/model/vm-statistics.ts';

const VMS = [
  { key: '7:1', label: 'db' },
  { key: '8:1', label: 'web' },
] as unknown as Vm[];

interface Seen {
  readonly comms?: readonly string[];
  readonly migration?: Partial<Migration>;
}

/** What it reports of VMs that are seen like this. */
function round(watch: MigrationWatch, seen: Readonly<Record<string, Seen>>, vms = VMS): string[] {
  const threads = ({ label }: Vm): VmThread[] =>
    (seen[label]?.comms ?? []).map((comm) => ({ comm }) as unknown as VmThread);
  const migration = ({ label }: Vm): Migration | undefined =>
    seen[label]?.migration && ({ direction: 'outgoing', ...seen[label].migration } as Migration);
  return watch
    .changes(vms, threads, migration)
    .map(({ vm, kind, what, evidence }) =>
      [vm, kind, what, evidence].filter((part) => part !== '').join(' '),
    );
}

test('without a monitor, a live migration begins and ends with the thread that sends the memory', () => {
  const watch = new MigrationWatch();
  const vcpu = 'CPU 0/KVM';
  assert.deepEqual(round(watch, { db: { comms: [vcpu] }, web: { comms: ['mig/src/main'] } }), []);
  assert.deepEqual(
    round(watch, { db: { comms: [vcpu, 'live_migration'] }, web: { comms: ['mig/src/main'] } }),
    ['db migration_began outgoing'],
  );
  assert.deepEqual(round(watch, { db: { comms: [vcpu, 'live_migration'] } }), [
    'web migration_ended outgoing',
  ]);
  assert.deepEqual(round(watch, { db: { comms: ['mig/dst/recv_0'] } }), ['db migration_ended outgoing']);
});

test('with a monitor, the event has the result of the migration', () => {
  const watch = new MigrationWatch();
  round(watch, {});
  const active = { migration: { status: 'active' } };
  assert.deepEqual(round(watch, { db: active, web: active }), [
    'db migration_began outgoing',
    'web migration_began outgoing',
  ]);
  const completed = { migration: { status: 'completed', duration: 2.531, downtime: 0.003 } };
  const cancelled = { migration: { status: 'cancelled' } };
  assert.deepEqual(round(watch, { db: completed, web: cancelled }), [
    'db migration_ended outgoing completed in 2.531 s, the guest paused for 3 ms',
    'web migration_ended outgoing cancelled',
  ]);
  assert.deepEqual(round(watch, { db: completed, web: cancelled }), []);
});

test('a migration that begins and ends between two rounds has an event, and an old one has none', () => {
  const watch = new MigrationWatch();
  const failed = { migration: { status: 'failed' } };
  assert.deepEqual(round(watch, { web: failed }), [], 'before the exporter started');
  const arrived = { migration: { status: 'completed', direction: 'incoming' as const } };
  assert.deepEqual(round(watch, { web: failed, db: arrived }), ['db migration_ended incoming completed']);
  assert.deepEqual(round(watch, { web: failed, db: arrived }), []);
});

test('a VM that ends while it is migrated ends the migration', () => {
  const watch = new MigrationWatch();
  const incoming = { migration: { status: 'active', direction: 'incoming' as const } };
  round(watch, { db: incoming });
  assert.deepEqual(round(watch, {}, VMS.slice(1)), ['db migration_ended incoming the VM ended here']);
  assert.deepEqual(round(watch, {}, []), []);
});

test('each migration that QEMU announces has an event, also with the same result as the one before', () => {
  const watch = new MigrationWatch();
  const cancelled = (count: number, last: readonly string[]): Seen => ({
    migration: { status: 'cancelled', endings: { count, last } },
  });
  round(watch, {});
  assert.deepEqual(round(watch, { db: cancelled(1, ['cancelled']) }), [
    'db migration_ended outgoing cancelled',
  ]);
  assert.deepEqual(round(watch, { db: cancelled(1, ['cancelled']) }), []);
  assert.deepEqual(round(watch, { db: cancelled(2, ['cancelled', 'cancelled']) }), [
    'db migration_ended outgoing cancelled',
  ]);
  assert.deepEqual(round(watch, { db: cancelled(4, ['cancelled', 'cancelled', 'failed', 'cancelled']) }), [
    'db migration_ended outgoing failed',
    'db migration_ended outgoing cancelled',
  ]);
  // A new connection of the monitor counts from 0.
  assert.deepEqual(round(watch, { db: cancelled(0, []) }), []);
});

test('a migration that ends while the monitor still reports it as running has one event, in the next round', () => {
  const watch = new MigrationWatch();
  const endings = { count: 1, last: ['failed'] };
  round(watch, { db: { migration: { status: 'active', endings: { count: 0, last: [] } } } });
  assert.deepEqual(round(watch, { db: { migration: { status: 'active', endings } } }), []);
  const failed = { migration: { status: 'failed', endings } };
  assert.deepEqual(round(watch, { db: failed }), ['db migration_ended outgoing failed']);
  assert.deepEqual(round(watch, { db: failed }), []);
});
