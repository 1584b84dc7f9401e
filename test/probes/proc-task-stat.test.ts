import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { PF_KTHREAD, parseTaskStat, readTaskStat } from '../../probes/proc-task-stat.ts';
import { captured, capturedHost, liveHost } from '../../testing/captured.ts';
import { testCutIsNeverMisread, testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };
const VCPU = captured('proc/244/task/252/stat');
/** Linux 6.18. */
const CAT_6_18 =
  '8660 (cat) R 8655 8655 6896 0 -1 4194304 102 0 0 0 0 0 0 0 20 0 1 0 253520 3133440 390 18446744073709551615 ' +
  '93942628610048 93942628629929 140735928808288 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 93942628645936 93942628647552 ' +
  '93942892445696 140735928814267 140735928814325 140735928814325 140735928815595 0\n';

function named(comm: string): string {
  return CAT_6_18.replace('cat', () => comm);
}

test('the stat of a vCPU thread is read field by field', () => {
  assert.deepEqual(parseTaskStat(VCPU), {
    comm: 'CPU 0/KVM',
    state: 'R',
    flags: 138412224,
    utime: 1836,
    stime: 576,
    priority: 120,
    startTime: 665,
    processor: 1,
    policy: 0,
    guestTime: 1528,
  });
});

test('an IOThread, a worker and a main thread of the other host are read', () => {
  const host = capturedHost('toy-pio-hlt');
  const task = (tid: number) => readTaskStat(host, `${host.roots.procfs}/281/task/${tid}`);
  assert.deepEqual(
    [295, 296, 301].map((tid) => [task(tid).comm, task(tid).utime, task(tid).guestTime, task(tid).startTime]),
    [
      ['CPU 0/KVM', 303, 189, 689],
      ['CPU 1/KVM', 1, 0, 692],
      ['worker', 0, 0, 707],
    ],
  );
});

test('a kernel thread shows its flag and its whole name, which is longer than 15 bytes', () => {
  const host = capturedHost();
  const recovery = readTaskStat(host, `${host.roots.procfs}/247`);
  assert.equal(recovery.comm, 'kvm-nx-lpage-recovery-244');
  assert.ok(recovery.flags & PF_KTHREAD);
  assert.equal(readTaskStat(host, `${host.roots.procfs}/264`).comm, 'kvm-pit/244');
  assert.equal(parseTaskStat(VCPU).flags & PF_KTHREAD, 0);
});

test('a real-time thread comes before all others', () => {
  const fifo = CAT_6_18.replace(' 20 0 1 0 ', ' -51 0 1 0 ').replace(' 17 1 0 0 ', ' 17 1 50 1 ');
  const { priority, policy } = parseTaskStat(fifo);
  assert.deepEqual([priority, policy], [49, 1]);
});

test('the 6.18 form is read', () => {
  const { comm, state, startTime, processor } = parseTaskStat(CAT_6_18);
  assert.deepEqual([comm, state, startTime, processor], ['cat', 'R', 253520, 1]);
});

for (const comm of [
  'a) R 1 (b',
  '((((((((((((((',
  '))))',
  ') S 1 2 3',
  '',
  ' ',
  '"\'',
  '\xff\xfe',
  '\0',
  'x) R 9999999',
  'a\nb\\',
]) {
  test(`a thread that calls itself ${JSON.stringify(comm)} cannot shift the fields`, () => {
    assert.deepEqual(parseTaskStat(named(comm)), { ...parseTaskStat(CAT_6_18), comm });
  });
}

test('any name leaves the numbers unchanged', () => {
  const unit = fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code));
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 15 }), (comm) => {
      assert.deepEqual(parseTaskStat(named(comm)), { ...parseTaskStat(CAT_6_18), comm });
    }),
  );
});

test('numbers above 2^53 are rounded; negative and impossible ones are refused', () => {
  const utime = (value: string) => parseTaskStat(VCPU.replace(' 1836 ', ` ${value} `)).utime;
  assert.equal(utime('18446744073709551615'), 2 ** 64);
  assert.equal(utime('9007199254740993'), 9007199254740992);
  for (const value of ['-1', '9'.repeat(400), 'NaN', '1e9', '0x10', ''])
    assert.throws(() => utime(value), malformed);
});

for (const text of [
  '',
  '\n',
  '()',
  '1 (a)',
  '1 (a) ',
  '1 (a) R',
  ') (',
  '1 (a) R 1 2 3\n',
  `${'0 '.repeat(50)}`,
]) {
  test(`${JSON.stringify(text.slice(0, 20))} is not a stat line`, () => {
    assert.throws(() => parseTaskStat(text), malformed);
  });
}

test('the running kernel shows this process, under whatever name it takes', (context) => {
  const host = liveHost();
  const before = readTaskStat(host, '/proc/self');
  context.after(() => writeFileSync('/proc/self/comm', before.comm, 'latin1'));
  for (const comm of ['a) R 1\n(b\\n\xff', '\nse.nr_migrati', '12 (x) S 1 1']) {
    writeFileSync('/proc/self/comm', comm, 'latin1');
    const stat = readTaskStat(host, `/proc/${process.pid}/task/${process.pid}`);
    assert.equal(stat.comm, comm);
    assert.equal(stat.startTime, before.startTime);
    assert.equal(stat.guestTime, 0);
    assert.ok(stat.utime > 0 && stat.startTime > 0);
    assert.equal(stat.flags & PF_KTHREAD, 0);
  }
  assert.throws(() => readTaskStat(host, '/proc/0'), { kind: 'absent' });
});

testCutIsNeverMisread('parseTaskStat', parseTaskStat, VCPU);
testRobustness('parseTaskStat', parseTaskStat, [VCPU, CAT_6_18, captured('proc/247/stat')]);
