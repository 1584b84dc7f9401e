import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listPids, listTids } from '../../probes/proc-pids.ts';
import { capturedHost, liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';

test('processes and threads of a captured host are listed in order', () => {
  const host = capturedHost();
  const pids = listPids(host);
  assert.equal(pids.length, 26);
  assert.ok(pids.includes(244) && pids.includes(249));
  assert.deepEqual(
    pids,
    pids.toSorted((a, b) => a - b),
  );
  assert.deepEqual(listTids(host, 244), [244, 245, 246, 250, 252, 254]);
});

test('only numbers are accepted as ids', (context) => {
  const { host, write } = hostTree(context);
  for (const name of ['7', '10', 'self', 'thread-self', '-3', '0x5', '1e3', '12a'])
    write(`proc/${name}/stat`, '');
  assert.deepEqual(listPids(host), [7, 10]);
});

test('an exited process is absent', () => {
  assert.throws(() => listTids(liveHost(), 4_194_305), { name: 'SourceError', kind: 'absent' });
});

test('the running kernel lists this process and its threads', () => {
  assert.ok(listPids(liveHost()).includes(process.pid));
  const tids = listTids(liveHost(), process.pid);
  assert.ok(tids.includes(process.pid) && tids.length > 1);
});
