import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { isIncoming, parseMigration, type QmpMigration } from '../../probes/qmp-migrate.ts';
import { ROOT } from '../../testing/daemon.ts';

/** Replies of real QEMUs while one sent a guest of 16 MiB to the other. */
function captured(version: string, moment: string): unknown {
  return JSON.parse(readFileSync(`${ROOT}test/fixtures/qmp-migrate/${version}-${moment}.json`, 'utf8'));
}

function parsed(version: string, moment: string): QmpMigration {
  const migration = parseMigration(captured(version, moment));
  assert.ok(migration !== undefined, moment);
  return migration;
}

const ACTIVE = captured('7.2', 'source-active') as { ram: object };

test('a migration that runs', () => {
  assert.deepEqual(parsed('7.2', 'source-active'), {
    status: 'active',
    memory: {
      total: 17_113_088,
      transferred: 1_230_872,
      remaining: 401_408,
      dirtyRate: 234 * 4096,
      rate: 986_884.615_384_615_4,
    },
    expectedDowntime: 0.531,
    duration: 1.228,
    downtime: undefined,
  });
});

test('a rate of 0 that QEMU has not measured yet is unknown, and so is the downtime that follows from it', () => {
  for (const [version, moment] of [
    ['7.2', 'source-first-pass'],
    ['10.0', 'source-first-pass'],
    // The third pass, within a second.
    ['10.0', 'source-active'],
  ] as const) {
    const { status, memory, expectedDowntime } = parsed(version, moment);
    assert.deepEqual([status, memory?.dirtyRate, expectedDowntime], ['active', undefined, undefined]);
    assert.ok((memory?.remaining ?? 0) > 0 && (memory?.transferred ?? 0) > 0, moment);
  }
  const idle = { ...ACTIVE, 'total-time': 30_000, ram: { ...ACTIVE.ram, 'dirty-pages-rate': 0 } };
  const { memory, expectedDowntime } = parseMigration(idle) ?? {};
  assert.deepEqual([memory?.dirtyRate, expectedDowntime], [0, undefined], 'the guest writes nothing');
  const first = { ...idle, ram: { ...idle.ram, 'dirty-sync-count': 1 } };
  assert.equal(parseMigration(first)?.memory?.dirtyRate, undefined);
});

for (const version of ['7.2', '10.0']) {
  test(`QEMU ${version}: how it ended, at the source and at the destination`, () => {
    const source = parsed(version, 'source-completed');
    assert.equal(source.status, 'completed');
    assert.ok((source.duration ?? 0) > 1 && (source.downtime ?? 0) > 0);
    const none = { memory: undefined, expectedDowntime: undefined, duration: undefined, downtime: undefined };
    for (const status of ['cancelled', 'failed'])
      assert.deepEqual(parsed(version, `source-${status}`), { status, ...none });
    assert.deepEqual(parsed(version, 'destination-completed'), { status: 'completed', ...none });
  });

  test(`QEMU ${version}: which way the VM goes`, () => {
    const incoming = (moment: string, state: string): boolean => isIncoming(parsed(version, moment), state);
    for (const moment of ['first-pass', 'active', 'cancelled', 'failed'])
      assert.equal(incoming(`source-${moment}`, 'running'), false, moment);
    assert.equal(incoming('source-completed', 'postmigrate'), false);
    assert.equal(incoming('destination-active', 'inmigrate'), true);
    assert.equal(incoming('destination-completed', 'running'), true);
  });
}

test('a destination that waits', () => {
  assert.equal(parseMigration(captured('7.2', 'destination-waits')), undefined);
  const waiting = parsed('10.0', 'destination-waits');
  assert.equal(waiting.status, 'setup');
  assert.equal(isIncoming(waiting, 'inmigrate'), true);
  assert.equal(isIncoming(waiting, 'running'), false, 'a source that connects');
});

test('never migrated, and what is no answer', () => {
  assert.equal(parseMigration({}), undefined);
  assert.equal(parseMigration({ status: 'none' }), undefined);
  for (const bad of [null, [], { status: 'a b' }, { status: 'active', ram: { total: -1 } }, { status: 7 }])
    assert.throws(() => parseMigration(bad), { name: 'SourceError', kind: 'malformed' });
});

test('any answer is a migration, none, or malformed', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.jsonValue(), fc.record({ status: fc.string(), ram: fc.jsonValue() })),
      (value) => {
        try {
          assert.match(parseMigration(value)?.status ?? 'none', /^[a-z-]{1,32}$/);
        } catch (error) {
          assert.equal((error as { kind?: unknown }).kind, 'malformed');
        }
      },
    ),
  );
});
