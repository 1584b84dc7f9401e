import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PerfCounter, PerfCounters, type PerfTarget } from '../../../exporter/trace/perf-counters.ts';
import type { PerfListener, StartPerf } from '../../../exporter/trace/perf-process.ts';
import { SourceError } from '../../../probes/errors.ts';

const COUNTERS: readonly PerfCounter[] = [
  { name: 'kvm_exit', event: 'kvm:kvm_exit', filter: undefined },
  { name: 'kvm_pio:notify', event: 'kvm:kvm_pio', filter: 'port == 0x80' },
];
const FAILED = new SourceError('failed', 'perf', 'out of memory');
const EXITED = new SourceError('vanished', 'perf', 'its threads have exited');
const MISSING = new SourceError('absent', 'perf', 'not installed');
const STOPPED = new SourceError('failed', 'perf', 'ended without a message (exit 130)');

/** A perf process that the test controls. */
interface FakePerf {
  readonly tids: readonly number[];
  readonly listener: PerfListener;
  mustEnd: boolean;
}

function fake(counters = COUNTERS): {
  perf: PerfCounters;
  started: FakePerf[];
  clock: { ms: number };
  /** perf ends by itself. */
  fails(i: number, problem?: SourceError): void;
  counts(i: number, ...counts: (number | undefined)[]): void;
  /** The threads of each perf that was started, in order. */
  tids(): (readonly number[])[];
} {
  const started: FakePerf[] = [];
  const clock = { ms: 0 };
  const start: StartPerf = (_, tids, listener) => {
    const each: FakePerf = { tids, listener, mustEnd: false };
    started.push(each);
    return {
      end: () => {
        each.mustEnd = true;
      },
    };
  };
  return {
    perf: new PerfCounters(counters, start, () => clock.ms),
    started,
    clock,
    fails: (i, problem = FAILED) => started[i]?.listener.ended(problem),
    counts: (i, ...counts) => started[i]?.listener.counted(counts),
    tids: () => started.map(({ tids }) => tids),
  };
}

const vm = (key: string, ...tids: number[]): PerfTarget => ({ key, tids });
const totals = (perf: PerfCounters, key: string): unknown => Object.fromEntries(perf.counts(key) ?? []);

test('each VM has one perf process; counts add up, and are unknown before the first interval', () => {
  const { perf, started, counts, tids } = fake();
  for (let i = 0; i < 3; i++) perf.follow([vm('a', 1, 2), vm('b', 3), vm('none')]);
  assert.deepEqual(tids(), [[1, 2], [3]]);
  assert.equal(perf.counts('a'), undefined);
  counts(0, 5, 0);
  counts(0, 1, 2);
  counts(1, undefined, 7);
  assert.deepEqual(totals(perf, 'a'), { kvm_exit: 6, 'kvm_pio:notify': 2 });
  assert.deepEqual(
    totals(perf, 'b'),
    { 'kvm_pio:notify': 7 },
    'an event that perf does not support has no count',
  );
  assert.equal(perf.counts('none'), undefined);
  assert.equal(perf.counts('unknown'), undefined);
  assert.deepEqual(perf.problems, []);
  assert.ok(started.every(({ mustEnd }) => !mustEnd));
});

test('a hot-plugged vCPU gets its own perf process, and the counts of both are added', () => {
  const { perf, started, counts, tids } = fake();
  perf.follow([vm('a', 1, 2)]);
  counts(0, 10, 0);
  perf.follow([vm('a', 1, 2, 3, 4)]);
  perf.follow([vm('a', 4, 3, 2, 1)]);
  assert.deepEqual(tids(), [
    [1, 2],
    [3, 4],
  ]);
  assert.equal(started[0]?.mustEnd, false);
  counts(0, 1, 0);
  counts(1, 100, 0);
  assert.equal(perf.counts('a')?.get('kvm_exit'), 111);
});

test('a new thread gets a new perf process; a process ends when its last thread has exited, and its last counts are added', () => {
  const { perf, started, counts, tids } = fake();
  perf.follow([vm('a', 1, 2)]);
  perf.follow([vm('a', 1, 9)]);
  assert.deepEqual(tids(), [[1, 2], [9]]);
  assert.equal(started[0]?.mustEnd, false, 'it counts thread 1');
  perf.follow([vm('a', 9)]);
  assert.equal(started[0]?.mustEnd, true);
  perf.follow([vm('a', 9, 2)]);
  assert.deepEqual(tids(), [[1, 2], [9], [2]], 'a new thread with the id of one that has exited');
  counts(0, 3, 0);
  counts(1, 4, 0);
  assert.equal(perf.counts('a')?.get('kvm_exit'), 7);
});

test('a VM that has exited is forgotten, and late counts of its perf process are dropped', () => {
  const { perf, started, counts, fails } = fake();
  perf.follow([vm('a', 1), vm('b', 2)]);
  counts(0, 5, 5);
  perf.follow([vm('b', 2)]);
  assert.equal(started[0]?.mustEnd, true);
  counts(0, 1, 1);
  fails(0, STOPPED);
  assert.equal(perf.counts('a'), undefined);
  assert.deepEqual(perf.problems, []);
  perf.follow([vm('a', 1), vm('b', 2)]);
  assert.equal(perf.counts('a'), undefined, 'counting starts again');
  counts(2, 1, 0);
  assert.equal(perf.counts('a')?.get('kvm_exit'), 1);
});

test('a perf process that fails is started again with exponential back-off, and no count falls', () => {
  const { perf, started, clock, counts, fails } = fake();
  const follow = (): number => {
    perf.follow([vm('a', 1, 2)]);
    return started.length;
  };
  follow();
  counts(0, 5, 0);
  let backoff = 1000;
  for (let i = 0; i < 9; i++) {
    fails(i);
    assert.deepEqual(perf.problems, [FAILED]);
    clock.ms += backoff - 1;
    assert.equal(follow(), i + 1);
    clock.ms += 1;
    assert.equal(follow(), i + 2);
    assert.deepEqual(perf.problems, [FAILED], 'it has not counted yet');
    counts(i + 1, 1, 0);
    assert.deepEqual(perf.problems, []);
    backoff = Math.min(60_000, backoff * 2);
  }
  assert.equal(perf.counts('a')?.get('kvm_exit'), 14);
  clock.ms += 60_000;
  fails(9);
  clock.ms += 1000;
  assert.equal(follow(), 11, 'after a minute without failure the back-off starts again');
});

test('if one of two perf processes fails, only its threads get a new process', () => {
  const { perf, clock, fails, counts, tids } = fake();
  perf.follow([vm('a', 1, 2)]);
  perf.follow([vm('a', 1, 2, 3)]);
  fails(0);
  counts(1, 1, 0);
  clock.ms += 1000;
  perf.follow([vm('a', 1, 2, 3, 4)]);
  assert.deepEqual(tids(), [[1, 2], [3], [1, 2, 4]]);
});

test('threads that exit between two updates are not a problem; it is one if this repeats', () => {
  const { perf, clock, fails, tids } = fake();
  perf.follow([vm('a', 1)]);
  fails(0, EXITED);
  assert.deepEqual(perf.problems, []);
  perf.follow([vm('a', 2)]);
  assert.deepEqual(tids(), [[1], [2]], 'the thread that replaced it is counted at once');
  fails(1, EXITED);
  assert.deepEqual(perf.problems, [EXITED]);
  perf.follow([vm('a', 2)]);
  assert.equal(tids().length, 2);
  clock.ms += 2000;
  perf.follow([vm('a', 2)]);
  assert.equal(tids().length, 3);
});

test('without perf there is one problem and one try per minute, until perf is installed', () => {
  const { perf, started, clock, fails, counts } = fake();
  const targets = [vm('a', 1), vm('b', 2), vm('c', 3)];
  perf.follow(targets);
  for (const i of [0, 1, 2]) fails(i, MISSING);
  assert.deepEqual(perf.problems, [MISSING]);
  clock.ms += 59_999;
  perf.follow(targets);
  assert.equal(started.length, 3);
  clock.ms += 1;
  perf.follow(targets);
  perf.follow(targets);
  assert.equal(started.length, 4, 'one VM tries for all');
  fails(3, MISSING);
  clock.ms += 60_000;
  perf.follow(targets);
  assert.deepEqual(perf.problems, [MISSING]);
  counts(4, 1, 0);
  assert.deepEqual(perf.problems, []);
  perf.follow(targets);
  assert.equal(started.length, 7);
});

test('the same failure of many VMs is reported once, and at most 16 failures are reported', () => {
  const { perf, started, fails } = fake();
  const targets = Array.from({ length: 100 }, (_, i) => vm(`vm${i}`, i + 1));
  for (let i = 0; i < 20; i++) perf.follow(targets);
  assert.equal(started.length, 100);
  for (let i = 0; i < 50; i++) fails(i);
  assert.deepEqual(perf.problems, [FAILED]);
  for (let i = 50; i < 100; i++) fails(i, new SourceError('failed', 'perf', `reason ${i}`));
  assert.equal(perf.problems.length, 16);
});

test('at most 16 perf processes start per update', () => {
  const { perf, started } = fake();
  const targets = Array.from({ length: 40 }, (_, i) => vm(`vm${i}`, i + 1));
  const steps = [1, 2, 3, 4].map(() => {
    perf.follow(targets);
    return started.length;
  });
  assert.deepEqual(steps, [16, 32, 40, 40]);
  assert.deepEqual(perf.problems, []);
});

test('at most 128 processes: one problem reports how many VMs are not counted, and the others stay', () => {
  const { perf, started, counts, fails } = fake();
  const targets = Array.from({ length: 131 }, (_, i) => vm(`vm${i}`, i + 1));
  for (let i = 0; i < 20; i++) perf.follow(targets);
  assert.equal(started.length, 128);
  const [problem, ...more] = perf.problems;
  assert.deepEqual(more, []);
  assert.equal(problem?.kind, 'too_large');
  assert.match(
    problem?.message ?? '',
    /not counted, or not all their vCPUs: 3; at most 128 processes and 8192/,
  );
  counts(127, 1, 1);
  perf.follow([...targets].reverse());
  assert.ok(perf.counts('vm127'), 'the order does not matter for VMs that are counted');
  const remaining = targets.slice(1);
  perf.follow(remaining);
  assert.equal(started.length, 128, 'a process that is ending still counts for the limit');
  fails(0, STOPPED);
  perf.follow(remaining);
  assert.equal(started.length, 129);
  assert.match(perf.problems[0]?.message ?? '', /vCPUs: 2;/);
});

test('at most 8192 descriptors; a smaller VM may still fit', () => {
  const counters = Array.from({ length: 32 }, (_, i) => ({
    name: `n${i}`,
    event: 'e:e',
    filter: `reason == ${i}`,
  }));
  const { perf, tids } = fake(counters);
  const many = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);
  const targets = [vm('a', ...many(0, 200)), vm('b', ...many(1000, 57)), vm('c', ...many(2000, 56))];
  perf.follow(targets);
  assert.deepEqual(
    tids().map(({ length }) => length),
    [200, 56],
  );
  assert.match(perf.problems[0]?.message ?? '', /vCPUs: 1;/);
  perf.follow([...targets, vm('d', 3000)]);
  assert.match(perf.problems[0]?.message ?? '', /vCPUs: 2;/);
  perf.follow([vm('c', ...many(2000, 56))]);
  assert.deepEqual(perf.problems, []);
});

test('stop waits for the counts of the last intervals, and no process starts afterwards', async () => {
  const { perf, started, counts, fails } = fake();
  perf.follow([vm('a', 1), vm('b', 2), vm('c', 3)]);
  counts(0, 1, 0);
  perf.follow([vm('a', 1), vm('b', 2)]);
  let isStopped = false;
  const stopped = Promise.all([perf.stop(), perf.stop()]).then(() => {
    isStopped = true;
  });
  assert.ok(started.every(({ mustEnd }) => mustEnd));
  counts(0, 2, 0);
  fails(0, STOPPED);
  fails(1, STOPPED);
  await new Promise(setImmediate);
  assert.equal(isStopped, false, 'also for the process of a VM that has exited');
  fails(2, STOPPED);
  await stopped;
  assert.equal(perf.counts('a')?.get('kvm_exit'), 3);
  assert.deepEqual(perf.problems, []);
  perf.follow([vm('a', 1), vm('z', 9)]);
  assert.equal(started.length, 3);
  await perf.stop();
});

test('without perf processes stop returns at once', async () => {
  await fake().perf.stop();
  const { perf, started } = fake([]);
  perf.follow([vm('a', 1)]);
  assert.equal(started.length, 0, 'nothing to count');
  await perf.stop();
});

test('next() resolves with the next report, or when perf has ended', async () => {
  const { perf, counts, fails } = fake();
  await perf.next('a', 60_000);
  perf.follow([{ key: 'a', tids: [1] }]);
  counts(0, 5, 0);
  const next = perf.next('a', 60_000);
  counts(0, 2, 0);
  await next;
  assert.equal(perf.counts('a')?.get('kvm_exit'), 7);
  const other = perf.next('a', 60_000);
  fails(0);
  await other;
  await perf.next('a', 60_000);
});
