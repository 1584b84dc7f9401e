import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { adjustedTimes } from '../../../probes/bpf/cputime.ts';
import { MaskTexts } from '../../../probes/bpf/mask-texts.ts';
import { parseThreadRows, type RowTask } from '../../../probes/bpf/thread-rows.ts';
import { SourceError } from '../../../probes/errors.ts';
import { vmRow } from '../../../testing/bpf-rows.ts';
import { type ThreadFields, threadRow } from '../../../testing/thread-rows.ts';

const parse = (bytes: Buffer, cpus = 64): RowTask[] => parseThreadRows(bytes, 'rows', new MaskTexts(cpus));

function only(thread: Partial<ThreadFields>): RowTask {
  const [task] = parse(threadRow({ pid: 7, tid: 8, ...thread }));
  assert.ok(task);
  return task;
}

test('a row has what four files of /proc have', () => {
  const task = only({
    comm: 'CPU 0/KVM',
    start: 633,
    cpu: 5,
    times: { run: 2_000_000_009, utime: 1_500_000_000, stime: 509_999_999, gtime: 1_000_000_001 },
    schedInfo: { wait: 30, timeslices: 4 },
    switches: [11, 12],
    migrations: 13,
    allowed: [0, 1, 2, 9],
  });
  assert.deepEqual(
    { pid: task.pid, tid: task.tid, comm: task.comm, start: task.startTime, cpu: task.processor },
    { pid: 7, tid: 8, comm: 'CPU 0/KVM', start: 633, cpu: 5 },
  );
  assert.deepEqual(task.cpuTimes(), { utime: 150, stime: 50, guestTime: 100 });
  assert.deepEqual(task.schedstat(), { run: 2_000_000_009, wait: 30, timeslices: 4 });
  assert.deepEqual(task.status(), {
    cpusAllowedList: '0-2,9',
    voluntarySwitches: 11,
    involuntarySwitches: 12,
  });
  assert.equal(task.migrations(), 13);
  assert.equal(task.priority, 120);
});

test('a name fills its field, and may have any byte', () => {
  assert.equal(only({ comm: 'fifteen bytes 1' }).comm, 'fifteen bytes 1');
  assert.equal(only({ comm: 'sixteen bytes 16' }).comm, 'sixteen bytes 16');
  assert.equal(only({ comm: 'a) R\n\xff' }).comm, 'a) R\n\xff');
  assert.equal(only({ comm: '' }).comm, '');
});

test('counters that this kernel lacks are unknown', () => {
  assert.throws(() => only({}).schedstat(), { kind: 'absent' });
  const off = only({ times: { run: 5 }, schedInfo: { wait: 0, timeslices: 0 } });
  assert.deepEqual(off.schedstat(), { run: 0, wait: 0, timeslices: 0 }, 'as /proc shows it');
  assert.equal(only({ isBehind: true }).cpuTimes(), undefined, 'on a CPU without ticks only /proc knows');
});

test('a core-scheduling cookie is there, is not there, or cannot exist', () => {
  assert.equal(only({ hasCoreCookie: true }).hasCoreCookie, true);
  assert.equal(only({ hasCoreCookie: false }).hasCoreCookie, false);
  assert.equal(only({}).hasCoreCookie, undefined);
});

test('bits beyond the CPUs that can exist are not CPUs', () => {
  const row = threadRow({ pid: 1, tid: 1, allowed: [0, 1, 2, 70], words: 2 });
  assert.equal(parse(row, 2)[0]?.status().cpusAllowedList, '0-1');
  assert.equal(parse(row, 128)[0]?.status().cpusAllowedList, '0-2,70');
});

test('many different masks do not fill the memory', () => {
  const masks = new MaskTexts(64);
  for (let i = 1; i <= 10_000; i++) masks.of(String.fromCharCode(i & 255, i >> 8, 0, 0, 0, 0, 0, 0));
  assert.equal(masks.of('\x05\0\0\0\0\0\0\0'), '0,2');
});

test('rows that are cut, of another kind or size are malformed', () => {
  const row = threadRow({ pid: 7, tid: 8 });
  const withoutMask = threadRow({ pid: 7, tid: 8, words: 0 });
  const tooLong = Buffer.concat([row, Buffer.alloc(8)]);
  tooLong.writeUInt32LE(tooLong.length, 4);
  for (const bytes of [row.subarray(0, 100), withoutMask, tooLong, vmRow(7), Buffer.alloc(16)])
    assert.throws(() => parse(bytes), { kind: 'malformed' });
  assert.deepEqual(parse(Buffer.alloc(0)), []);
});

test('hostile bytes give rows or a SourceError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, hasHead) => {
      const row = Buffer.from(bytes);
      if (hasHead && row.length >= 160) threadRow({ pid: 1, tid: 2 }).copy(row, 0, 0, 40);
      try {
        for (const task of parse(row)) {
          task.cpuTimes();
          task.status();
          assert.ok(task.comm.length <= 16);
        }
      } catch (error) {
        assert.ok(error instanceof SourceError);
      }
    }),
  );
});

test('times are adjusted as cputime_adjust() does', () => {
  const previous = { utime: 0, stime: 0 };
  const adjust = (utime: number, stime: number, run: number, before = previous) =>
    adjustedTimes({ utime, stime, run, previous: before });
  assert.deepEqual(adjust(300, 100, 800), { utime: 600, stime: 200 }, 'in proportion');
  assert.deepEqual(adjust(300, 0, 800), { utime: 800, stime: 0 });
  assert.deepEqual(adjust(0, 100, 800), { utime: 0, stime: 800 });
  assert.deepEqual(adjust(0, 0, 800), { utime: 800, stime: 0 }, 'a thread without a tick');
  assert.deepEqual(
    adjust(300, 100, 800, { utime: 500, stime: 300 }),
    { utime: 500, stime: 300 },
    'no growth',
  );
  assert.deepEqual(adjust(300, 100, 1000, { utime: 500, stime: 300 }), { utime: 700, stime: 300 });
  assert.deepEqual(adjust(100, 300, 1000, { utime: 500, stime: 100 }), { utime: 500, stime: 500 });
  assert.deepEqual(
    adjustedTimes({ utime: 300, stime: 100, run: 800, previous: undefined }),
    { utime: 300, stime: 100 },
    'precise accounting needs no adjustment',
  );
});

test('adjusted times never fall and add up to the time on a CPU', () => {
  const growth = fc.record({ u: fc.nat(1e9), s: fc.nat(1e9), r: fc.nat(2e9) });
  fc.assert(
    fc.property(fc.array(growth, { maxLength: 20 }), (steps) => {
      let [utime, stime, run] = [0, 0, 0];
      let previous = { utime: 0, stime: 0 };
      for (const { u, s, r } of steps) {
        [utime, stime, run] = [utime + u, stime + s, run + r];
        const now = adjustedTimes({ utime, stime, run, previous });
        assert.ok(now.utime >= previous.utime && now.stime >= previous.stime);
        assert.equal(now.utime + now.stime, run);
        previous = now;
      }
    }),
  );
});
