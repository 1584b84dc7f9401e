import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMemoryEvents, readMemoryLimits } from '../../probes/cgroup-memory.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';

/** Linux 6.1. */
const EVENTS = 'low 0\nhigh 12\nmax 3\noom 1\noom_kill 0\noom_group_kill 0\n';

test('the limits of v2, with how often each was reached', (context) => {
  const { host, write } = hostTree(context);
  const folder = `${host.roots.sysfs}/fs/cgroup/kt`;
  assert.deepEqual(readMemoryLimits(host, folder), [], 'without the memory controller');
  write('sys/fs/cgroup/kt/memory.events', EVENTS);
  write('sys/fs/cgroup/kt/memory.high', 'max\n');
  write('sys/fs/cgroup/kt/memory.max', '536870912\n');
  assert.deepEqual(readMemoryLimits(host, folder), [
    { limit: 'high', hits: 12, isSet: false },
    { limit: 'max', hits: 3, isSet: true },
  ]);
});

test('v1 has one limit, and shows none as the largest number of pages', (context) => {
  const { host, write } = hostTree(context);
  const folder = `${host.roots.sysfs}/fs/cgroup/memory/kt`;
  write('sys/fs/cgroup/memory/kt/memory.failcnt', '5\n');
  write('sys/fs/cgroup/memory/kt/memory.limit_in_bytes', '9223372036854771712\n');
  assert.deepEqual(readMemoryLimits(host, folder), [{ limit: 'max', hits: 5, isSet: false }]);
  write('sys/fs/cgroup/memory/kt/memory.limit_in_bytes', '536870912\n');
  assert.deepEqual(readMemoryLimits(host, folder), [{ limit: 'max', hits: 5, isSet: true }]);
});

test('text of another kind is an error', () => {
  assert.throws(() => parseMemoryEvents('low 0\n'), /memory\.events/);
});

testRobustness('parseMemoryEvents', parseMemoryEvents, [EVENTS]);
