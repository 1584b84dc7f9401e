import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBootId, readBootId } from '../../probes/proc-boot-id.ts';
import { liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testCutIsNeverMisread, testRobustness } from './robustness.ts';

const ID = '0f5c1e3a-2b6d-4c8e-9f10-1a2b3c4d5e6f';

test('the id is a UUID and a newline; other text is malformed', () => {
  assert.equal(parseBootId(`${ID}\n`), ID);
  for (const text of [
    '',
    '\n',
    ID,
    ` ${ID}\n`,
    `${ID}\n\n`,
    `${ID}0\n`,
    `x\n${ID}\n`,
    `${ID.toUpperCase()}\n`,
  ])
    assert.throws(() => parseBootId(text), { name: 'SourceError', kind: 'malformed' }, text);
});

test('the running kernel has a boot id, the same in each reading', () => {
  assert.match(readBootId(liveHost()), /^[0-9a-f-]{36}$/);
  assert.equal(readBootId(liveHost()), readBootId(liveHost()));
});

test('a procfs without it is absent', (context) => {
  const { host, write } = hostTree(context);
  assert.throws(() => readBootId(host), { kind: 'absent' });
  write('proc/sys/kernel/random/boot_id', `${ID}\n`);
  assert.equal(readBootId(host), ID);
});

testCutIsNeverMisread('parseBootId', parseBootId, `${ID}\n`);
testRobustness('parseBootId', parseBootId, [`${ID}\n`]);
