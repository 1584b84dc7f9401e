import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMigration } from '../../probes/qmp-migrate.ts';

/** As QEMU 9.2 answers during a migration. */
const ACTIVE = {
  status: 'active',
  'total-time': 1200,
  'setup-time': 4,
  'expected-downtime': 300,
  ram: {
    total: 1_091_379_200,
    'postcopy-requests': 0,
    'dirty-sync-count': 2,
    'multifd-bytes': 0,
    'pages-per-second': 32_000,
    'page-size': 4096,
    remaining: 500_000_000,
    mbps: 1048.5,
    transferred: 591_379_200,
    'dirty-sync-missed-zero-copy': 0,
    'dirty-pages-rate': 20_000,
    duplicate: 100,
    normal: 144_000,
    'normal-bytes': 589_824_000,
  },
};

test('a migration that runs', () => {
  assert.deepEqual(parseMigration(ACTIVE), {
    status: 'active',
    memory: {
      total: 1_091_379_200,
      transferred: 591_379_200,
      remaining: 500_000_000,
      dirtyRate: 81_920_000,
      rate: 131_062_500,
    },
    expectedDowntime: 0.3,
  });
});

test('never migrated, before memory is sent, and what is no answer', () => {
  assert.equal(parseMigration({}), undefined);
  assert.equal(parseMigration({ status: 'none' }), undefined);
  assert.deepEqual(parseMigration({ status: 'setup' }), {
    status: 'setup',
    memory: undefined,
    expectedDowntime: undefined,
  });
  for (const bad of [null, [], { status: 'a b' }, { status: 'active', ram: { total: -1 } }, { status: 7 }])
    assert.throws(() => parseMigration(bad), { name: 'SourceError', kind: 'malformed' });
});
