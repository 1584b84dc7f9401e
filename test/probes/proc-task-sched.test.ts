import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseTaskMigrations, parseTaskSched, readTaskMigrations } from '../../probes/proc-task-sched.ts';
import { captured, capturedHost, liveHost } from '../../testing/captured.ts';
import { testCutIsNeverMisread, testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };
const IOTHREAD = captured('proc/244/task/246/sched');

test('migrations of captured threads are read', () => {
  assert.equal(parseTaskMigrations(IOTHREAD), 713);
  const host = capturedHost();
  assert.equal(readTaskMigrations(host, `${host.roots.procfs}/244/task/252`), 63);
  assert.equal(readTaskMigrations(host, `${host.roots.procfs}/244`), 6);
  assert.equal(parseTaskMigrations(captured('proc/281/task/296/sched', 'toy-pio-hlt')), 1);
});

for (const name of [
  '\nse.nr_migrations : 9\n',
  '\n---------------',
  'a\n\n\n: 7',
  '(x (1, #thre',
  '\xff\0"',
]) {
  test(`a thread that calls itself ${JSON.stringify(name)} cannot choose the number`, () => {
    assert.equal(parseTaskMigrations(IOTHREAD.replace('IO io0', () => name)), 713);
  });
}

test('a number is taken from its own line only', () => {
  assert.throws(
    () => parseTaskMigrations(IOTHREAD.replace(/se\.nr_migrations .*/, 'se.nr_migrations')),
    malformed,
  );
  assert.throws(
    () => parseTaskMigrations(IOTHREAD.replace('se.nr_migrations ', 'se.nr_migrations_cold ')),
    malformed,
  );
});

test('a text without the field, and a number that is none, are refused', () => {
  for (const text of ['', '\n', 'se.nr_migrations : 9\n', `\n${'-'.repeat(67)}\n`]) {
    assert.throws(() => parseTaskMigrations(text), malformed);
  }
  for (const bad of ['-713', '', 'x', '9'.repeat(400), '7.13', '713 ']) {
    assert.throws(() => parseTaskMigrations(IOTHREAD.replace(/ 713\n/, ` ${bad}\n`)), malformed, bad);
  }
  assert.equal(parseTaskMigrations(IOTHREAD.replace(/ 713\n/, ' 18446744073709551615\n')), 2 ** 64);
});

test('the running kernel shows this process, under whatever name it takes', (context) => {
  if (!existsSync('/proc/self/sched')) return context.skip('this kernel has no CONFIG_SCHED_DEBUG');
  context.after(() => writeFileSync('/proc/self/comm', 'node'));
  const before = readTaskMigrations(liveHost(), '/proc/self');
  writeFileSync('/proc/self/comm', '\nse.nr_mig : 9\n');
  assert.ok(readTaskMigrations(liveHost(), `/proc/self/task/${process.pid}`) >= before);
});

testCutIsNeverMisread('parseTaskMigrations', parseTaskMigrations, IOTHREAD);
testRobustness('parseTaskMigrations', parseTaskMigrations, [IOTHREAD]);

test('a captured thread of Linux 6.1: NUMA balancing, and neither uclamp nor a BPF scheduler', () => {
  assert.deepEqual(parseTaskSched(IOTHREAD), {
    uclampMin: undefined,
    uclampMax: undefined,
    isExt: undefined,
    forcedIdleSeconds: undefined,
    numaPagesMigrated: 10002,
  });
});

test('what newer kernels have, as kernel/sched/debug.c prints it', () => {
  const line = (name: string, value: string): string => `${name.padEnd(45)}:${value.padStart(21)}\n`;
  const more = [
    line('core_forceidle_sum', '1500.250000'),
    line('uclamp.min', '0'),
    line('effective uclamp.min', '128'),
    line('effective uclamp.max', '512'),
    line('ext.enabled', '1'),
  ];
  assert.deepEqual(parseTaskSched(IOTHREAD + more.join('')), {
    uclampMin: 128,
    uclampMax: 512,
    isExt: true,
    forcedIdleSeconds: 1.50025,
    numaPagesMigrated: 10002,
  });
  assert.throws(() => parseTaskSched('no ruler'), malformed);
});
