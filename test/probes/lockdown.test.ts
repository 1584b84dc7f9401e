import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLockdown, readLockdown } from '../../probes/lockdown.ts';
import { liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';

test('the chosen level is the one in brackets', () => {
  assert.equal(parseLockdown('[none] integrity confidentiality\n'), 'none');
  assert.equal(parseLockdown('none [integrity] confidentiality\n'), 'integrity');
  assert.equal(parseLockdown('none integrity [confidentiality]\n'), 'confidentiality');
  // A kernel that was built with lockdown forced offers no lower level.
  assert.equal(parseLockdown('[integrity] confidentiality\n'), 'integrity');
});

test('a text without a known level is refused', () => {
  for (const text of ['', '\n', 'none integrity confidentiality\n', '[]', '[all]', '[ none ]']) {
    assert.throws(() => parseLockdown(text), { name: 'SourceError', kind: 'malformed' });
  }
});

test('where securityfs is not mounted the level is unknown', (context) => {
  const { host, write } = hostTree(context);
  assert.equal(readLockdown(host), 'unknown');
  write('sys/kernel/security/lockdown', 'none [integrity] confidentiality\n');
  assert.equal(readLockdown(host), 'integrity');
});

test('the running kernel is read', () => {
  assert.match(readLockdown(liveHost()), /^(none|integrity|confidentiality|unknown)$/);
});

testRobustness('parseLockdown', parseLockdown, ['none [integrity] confidentiality\n']);
