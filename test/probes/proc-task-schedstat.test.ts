import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { parseTaskSchedstat, readTaskSchedstat } from '../../probes/proc-task-schedstat.ts';
import { captured, capturedHost, liveHost } from '../../testing/captured.ts';
import { testCutIsNeverMisread, testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };
const IOTHREAD = captured('proc/244/task/246/schedstat');

test('run, wait and timeslices of captured threads are read', () => {
  assert.deepEqual(parseTaskSchedstat(IOTHREAD), { run: 14496712822, wait: 6163333139, timeslices: 19684 });
  const host = capturedHost('toy-pio-hlt');
  assert.deepEqual(readTaskSchedstat(host, `${host.roots.procfs}/281/task/295`), {
    run: 6469473998,
    wait: 122590532,
    timeslices: 398,
  });
});

test('a kernel without sched_info gives zeros', () => {
  assert.deepEqual(parseTaskSchedstat('0 0 0\n'), { run: 0, wait: 0, timeslices: 0 });
});

test('the largest numbers are rounded', () => {
  const { run, wait } = parseTaskSchedstat('18446744073709551615 9007199254740993 1\n');
  assert.deepEqual([run, wait], [2 ** 64, 9007199254740992]);
});

for (const text of [
  '',
  '\n',
  '1 2\n',
  '1 2 3',
  '1 2 3 4\n',
  '-1 2 3\n',
  '1  2 3\n',
  ' 1 2 3\n',
  '1 2 x\n',
  '1.0 2 3\n',
  `${'9'.repeat(400)} 2 3\n`,
]) {
  test(`${JSON.stringify(text.slice(0, 30))} is not a schedstat`, () => {
    assert.throws(() => parseTaskSchedstat(text), malformed);
  });
}

test('the running kernel shows this process', (context) => {
  if (!existsSync('/proc/self/schedstat')) return context.skip('this kernel has no schedstat files');
  const host = liveHost();
  const before = readTaskSchedstat(host, '/proc/self');
  const after = readTaskSchedstat(host, `/proc/self/task/${process.pid}`);
  assert.ok(before.timeslices > 0);
  assert.ok(after.run >= before.run && after.wait >= before.wait && after.timeslices >= before.timeslices);
});

testCutIsNeverMisread('parseTaskSchedstat', parseTaskSchedstat, IOTHREAD);
testRobustness('parseTaskSchedstat', parseTaskSchedstat, [IOTHREAD]);
