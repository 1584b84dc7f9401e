import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MigrationWatch } from '../../../exporter/assessment/migration-watch.ts';
import type { Vm, VmThread } from '../../../exporter/model/vm.ts';

const VMS = [
  { key: '7:1', label: 'db' },
  { key: '8:1', label: 'web' },
] as unknown as Vm[];

function round(watch: MigrationWatch, comms: Readonly<Record<string, readonly string[]>>): string[] {
  const threads = ({ label }: Vm): VmThread[] =>
    (comms[label] ?? []).map((comm) => ({ comm }) as unknown as VmThread);
  return watch.changes(VMS, threads).map(({ vm, kind }) => `${vm} ${kind}`);
}

test('a live migration begins and ends with the thread that sends the memory', () => {
  const watch = new MigrationWatch();
  assert.deepEqual(round(watch, { db: ['CPU 0/KVM'], web: ['mig/src/main'] }), [], 'it was there before');
  assert.deepEqual(round(watch, { db: ['CPU 0/KVM', 'live_migration'], web: ['mig/src/main'] }), [
    'db migration_began',
  ]);
  assert.deepEqual(round(watch, { db: ['CPU 0/KVM', 'live_migration'] }), ['web migration_ended']);
  assert.deepEqual(round(watch, { db: ['mig/dst/recv_0'] }), ['db migration_ended']);
});
