import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BpfBackend } from '../../../../exporter/trace/bpf/backend.ts';
import { OBJECTS } from '../../../../exporter/trace/bpf/objects.ts';
import { TRACE_SET_NAMES, type TraceSetName } from '../../../../exporter/trace/sets.ts';
import { Tallies } from '../../../../exporter/trace/tallies.ts';
import type { Owner } from '../../../../exporter/trace/tally.ts';
import type { TraceObjectName } from '../../../../probes/bpf/trace-object.ts';
import { SourceError } from '../../../../probes/errors.ts';
import { fakeTraceObjects } from '../../../../testing/trace-objects.ts';

const VCPU: Owner = { vm: 'vm', thread: 'vcpu0', startTime: 0 };

function setUp(sets: readonly TraceSetName[], tallies = new Tallies(), kernel = fakeTraceObjects()) {
  const clock = { ms: 0 };
  const timers = new Set<() => void>();
  const threads = {
    ownerOf: (tid: number) => (tid === 11 ? VCPU : undefined),
    onIoPath: [11],
    processes: [10],
  };
  const options = {
    isa: 'svm' as const,
    sets,
    tallies,
    threads,
    sinceBoot: () => 100,
    load: kernel.load,
    budget: 0.01,
    now: () => clock.ms,
    random: () => 0.3,
    repeat(work: () => void) {
      timers.add(work);
      return { stop: () => timers.delete(work) };
    },
  };
  const start = (): BpfBackend => {
    const backend = new BpfBackend(options);
    if (backend.isUsable) backend.begin();
    return backend;
  };
  const read = (backend: BpfBackend) => {
    for (const _ of backend.read());
    return backend.of('vm');
  };
  return { kernel, tallies, start, read, clock, timers, threads };
}

test('the maps of all sets become the counts of the VM', () => {
  const { kernel, start, read } = setUp(['exits', 'notifications', 'interrupts', 'halt_poll', 'block']);
  const backend = start();
  kernel.put('exit_counts', [11, 0x78], [5, 5, 900]);
  kernel.put('exit_counts', [12, 0x78], [5, 5, 900]);
  kernel.put('pio_counts', [11, 0, 0], [30]);
  kernel.put('pio_counts', [11, 1, 0xc050], [12]);
  kernel.put('mmio_counts', [11, 1, 0xfe00_3000], [9]);
  kernel.put('mmio_in_user_space', [11, 1, 0xfe00_3000], [2]);
  kernel.put('userspace_exit_counts', [11, 6], [2]);
  kernel.put('msi_counts', [11, 0, 0xfee0_1000, 0x4021], [3]);
  kernel.put('eoi_counts', [11], [8]);
  kernel.put('pv_eoi_counts', [11], [6]);
  kernel.put('halt_poll_counts', [11, 1], [4]);
  kernel.put('issue_counts', [11, 0x10_3000], [7]);
  const trace = read(backend);
  assert.deepEqual(trace.exits, [{ thread: 'vcpu0', reason: 0x78, count: 5 }]);
  assert.deepEqual(Object.fromEntries(trace.events), {
    kvm_exit: 5,
    kvm_fast_mmio: 0,
    kvm_mmio: 9,
    kvm_pio: 42,
    kvm_userspace_exit: 2,
    kvm_msi_set_irq: 3,
    kvm_inj_virq: 0,
    kvm_eoi: 8,
    kvm_pv_eoi: 6,
    kvm_halt_poll_ns: 4,
    block_rq_issue: 7,
  });
  assert.deepEqual(trace.kicks, [
    { event: 'kvm_mmio', thread: 'vcpu0', address: 0xfe00_3000, count: 7 },
    { event: 'kvm_pio', thread: 'vcpu0', address: 0xc050, count: 12 },
  ]);
  assert.deepEqual([trace.eois, trace.deviceExits, trace.msi.length], [2, 2, 1]);
  assert.deepEqual(trace.blockRequests, new Map([[0x10_3000, 7]]));
  assert.deepEqual([backend.problems, backend.lacks], [[], []]);
});

test('a kernel that refuses to be read is reported, the counts stay, and the objects are closed', async () => {
  const { kernel, start, read, timers } = setUp(['notifications']);
  const backend = start();
  kernel.put('pio_counts', [11, 1, 0xc050], [12]);
  assert.equal(read(backend).events.get('kvm_pio'), 12);
  kernel.refuseReading = new SourceError('denied', 'BPF object trace-notifications', 'EPERM', 'EPERM');
  kernel.put('pio_counts', [11, 1, 0xc050], [20]);
  for (const work of timers) work();
  assert.equal(read(backend).events.get('kvm_pio'), 12);
  assert.ok(backend.problems.length > 0);
  assert.ok(backend.problems.every(({ kind }) => kind === 'denied'));
  kernel.refuseReading = undefined;
  for (const work of timers) work();
  assert.equal(read(backend).events.get('kvm_pio'), 20);
  assert.deepEqual(backend.problems, []);
  kernel.refuseReading = new SourceError('denied', 'BPF object trace-notifications', 'EPERM', 'EPERM');
  await backend.stop();
  assert.equal(kernel.loaded.size, 0);
});

test('durations need programs of their own, and have sums', () => {
  const { kernel, start, read } = setUp(['exits', 'exit_duration']);
  const backend = start();
  assert.deepEqual(kernel.attached, new Set(['timed_exits', 'entries']));
  kernel.put('exit_durations', [11, 13, 0x78], [4, 20_000]);
  assert.deepEqual(
    read(backend).exitDurations,
    new Map([[0x78, [{ exponent: 13, count: 4, sumNs: 20_000 }]]]),
  );
  assert.deepEqual(
    backend.sets.map(({ set, activeRatio }) => [set, activeRatio]),
    [
      ['exits', 1],
      ['exit_duration', 1],
    ],
  );
});

test('switches and moves of threads on the I/O path, and waits for locks of all threads of the VMs', async () => {
  const { kernel, start, read, threads } = setUp(['sched', 'lock']);
  const backend = start();
  assert.deepEqual(
    kernel.followed,
    new Map([
      ['trace-sched', [11]],
      ['trace-lock', [10]],
    ]),
  );
  kernel.put('switch_counts', [11], [7]);
  kernel.put('migration_counts', [11], [2]);
  kernel.put('contention_durations', [11, 12], [3, 9000]);
  kernel.put('contention_durations', [11, 20], [1, 900_000]);
  const { events, lockContentionNs } = read(backend);
  assert.deepEqual(Object.fromEntries(events), { sched_switch: 7, sched_migrate_task: 2, contention_end: 4 });
  assert.equal(lockContentionNs, 909_000);
  threads.onIoPath = [11, 12];
  await backend.tick();
  assert.deepEqual(kernel.followed.get('trace-sched'), [11, 12]);
  kernel.refuseFollowing = new SourceError('failed', 'followed', 'E2BIG', 'E2BIG');
  await backend.tick();
  assert.deepEqual(
    backend.problems.map(({ message }) => message),
    ['followed: E2BIG', 'followed: E2BIG'],
  );
  kernel.refuseFollowing = undefined;
  await backend.tick();
  assert.deepEqual(backend.problems, []);
});

test('there is an object for every set', () => {
  assert.deepEqual(new Set(OBJECTS.flatMap(({ sets }) => sets)), new Set(TRACE_SET_NAMES));
});

test('the content of the maps from before the backend begins does not count', () => {
  const { kernel, start, read } = setUp(['halt_poll']);
  kernel.put('halt_poll_counts', [11, 1], [4]);
  const backend = start();
  assert.equal(read(backend).events.get('kvm_halt_poll_ns'), 0);
});

test('each object works without the others', () => {
  const { kernel, start, read } = setUp(['exits', 'notifications']);
  kernel.refused.set('trace-exits', new SourceError('failed', 'BPF object trace-exits', 'EINVAL', 'EINVAL'));
  const backend = start();
  assert.deepEqual(
    backend.lacks.map(({ message }) => message),
    ['BPF object trace-exits: EINVAL'],
  );
  assert.ok(backend.isUsable);
  assert.equal(read(backend).exits, undefined);
  kernel.refused.set('trace-notifications', new SourceError('failed', 'x', 'EINVAL', 'EINVAL'));
  assert.ok(!start().isUsable);
});

test('a tracepoint that appears later is attached, and arm64 needs none of x86', async () => {
  const { kernel, start } = setUp(['interrupts']);
  for (const program of ['msi', 'injections', 'eois', 'pv_eois']) kernel.missing.add(program);
  const backend = start();
  assert.deepEqual([backend.sets, backend.problems.length], [[], 4]);
  kernel.missing.clear();
  for (let i = 0; i < 30; i++) await backend.tick();
  assert.deepEqual([backend.sets.length, backend.problems], [1, []]);
});

test('an object that could not be loaded is tried again, less and less often, and counts then', async () => {
  const { kernel, start, read, clock } = setUp(['exits', 'notifications']);
  kernel.refused.set('trace-exits', new SourceError('failed', 'BPF object trace-exits', 'EBUSY', 'EBUSY'));
  const backend = start();
  kernel.put('pio_counts', [11, 1, 0xc050], [12]);
  assert.equal(read(backend).events.get('kvm_pio'), 12);
  const tick = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i++) {
      clock.ms += 1000;
      await backend.tick();
    }
  };
  await tick(60);
  kernel.refused.clear();
  await tick(119);
  assert.equal(backend.lacks.length, 1, 'the first try failed, and the second is due after two minutes more');
  await tick(1);
  assert.deepEqual([backend.lacks, backend.problems], [[], []]);
  kernel.put('exit_counts', [11, 0x78], [5, 5, 900]);
  assert.equal(read(backend).events.get('kvm_exit'), 5);
  assert.equal(read(backend).events.get('kvm_pio'), 12, 'the other counts go on');
});

test('a map that is nearly full is emptied at the next reading, and no count falls or is lost', () => {
  const { kernel, start, read } = setUp(['exits', 'halt_poll']);
  const backend = start();
  const all = (): number => (read(backend).exits ?? []).reduce((sum, { count }) => sum + count, 0);
  for (let reason = 0; reason < 50; reason++) kernel.put('exit_counts', [11, reason], [10, 10, 500]);
  assert.equal(all(), 500);
  kernel.put('exit_counts', [11, 0], [12, 12, 502]);
  assert.equal(all(), 502);
  assert.equal(kernel.size('exit_counts'), 0);
  kernel.put('exit_counts', [11, 0], [20, 20, 522]);
  assert.equal(all(), 522);
  kernel.put('halt_poll_counts', [11, 1], [4]);
  kernel.gates.set('trace-halt-poll 0', [
    { events: 9, passed: 9, dropped: 2 },
    { events: 9, passed: 9, dropped: 3 },
  ]);
  read(backend);
  read(backend);
  assert.equal(backend.sets.find(({ set }) => set === 'halt_poll')?.dropped, 5);
});

test('the periods follow the rates of the events, four times a second, until the backend stops', async () => {
  const { kernel, start, clock, timers } = setUp(['exits', 'halt_poll']);
  const gate = (events: number, passed = events) => [{ events, passed, dropped: 0 }];
  kernel.gates.set('trace-exits 0', gate(0));
  kernel.gates.set('trace-halt-poll 0', gate(0));
  const backend = start();
  const periodsOf = (name: TraceObjectName) => kernel.controls.get(name)?.periods;
  assert.deepEqual(periodsOf('trace-exits'), [1]);
  kernel.gates.set('trace-exits 0', gate(24_750));
  kernel.gates.set('trace-halt-poll 0', gate(10));
  clock.ms += 250;
  for (const adjust of timers) adjust();
  // 99,000 exits a second: 8.9 ms of the 10 ms go to events, and 1.1 ms is left for samples of 110 ns.
  assert.deepEqual([periodsOf('trace-exits'), periodsOf('trace-halt-poll')], [[16], [1]]);
  assert.ok(Math.abs(backend.costRatio - 0.0198) < 1e-4, `${backend.costRatio}`);
  const ratios = (): (number | undefined)[] => backend.sets.map(({ sampledRatio }) => sampledRatio);
  assert.deepEqual(ratios(), [1, 1]);
  for (let i = 1; i <= 4; i++) {
    kernel.gates.set('trace-exits 0', gate(24_750 * (i + 1), 24_750 + 1547 * i));
    clock.ms += 250;
    for (const adjust of timers) adjust();
  }
  assert.ok(Math.abs((ratios()[0] ?? 0) - 1 / 16) < 0.002, String(ratios()));
  assert.ok(backend.costRatio <= 0.01, `${backend.costRatio}`);
  for (let i = 0; i < 4; i++) {
    clock.ms += 250;
    for (const adjust of timers) adjust();
  }
  assert.deepEqual([periodsOf('trace-exits'), ratios()], [[1], [1, 1]]);
  await backend.stop();
  assert.equal(timers.size, 0);
});

test('programs whose skipped events already cost too much run in windows', async () => {
  const { kernel, start, read, clock, timers } = setUp(['exits', 'exit_duration', 'halt_poll']);
  let events = 0;
  const pass = (rate: number): void => {
    if (kernel.attached.has('timed_exits')) events += rate / 4;
    kernel.gates.set('trace-exits 0', [{ events, passed: events / 8, dropped: 0 }]);
    clock.ms += 250;
    for (const adjust of timers) adjust();
  };
  kernel.gates.set('trace-exits 0', [{ events, passed: 0, dropped: 0 }]);
  const backend = start();
  // 400,000 exits a second take 6% of the CPU if all are left out.
  pass(400_000);
  assert.equal(kernel.controls.get('trace-exits')?.share, 8);
  const windows: string[] = [];
  for (let i = 0; i < 80; i++) {
    windows.push(kernel.attached.has('timed_exits') ? '|' : '.');
    assert.equal(kernel.attached.has('entries'), kernel.attached.has('timed_exits'));
    assert.ok(kernel.attached.has('halt_poll'), 'the other objects run all the time');
    pass(400_000);
  }
  assert.equal(windows.join('').replace(/\./g, '').length, 10, windows.join(''));
  assert.ok(!windows.join('').includes('||'), windows.join(''));
  assert.ok(backend.costRatio > 0.005 && backend.costRatio < 0.011, `${backend.costRatio}`);
  assert.deepEqual(
    backend.sets.map(({ set, sampledRatio, windowEvery, activeRatio }) => [
      set,
      sampledRatio,
      windowEvery,
      activeRatio,
    ]),
    [
      ['exits', 1 / 64, 2, 1],
      ['exit_duration', 1 / 64, 2, 1],
      ['halt_poll', 1, undefined, 1],
    ],
  );
  // Each event weighs as if all had been seen, and exits grow as KVM's counter does.
  kernel.put('exit_counts', [11, 0x78], [800, 50, 900]);
  assert.equal(read(backend).events.get('kvm_exit'), 800);
  kernel.put('exit_counts', [11, 0x78], [1600, 100, 1650]);
  assert.equal(read(backend).events.get('kvm_exit'), 1550);
  for (let i = 0; i < 10; i++) pass(100);
  assert.deepEqual(
    [kernel.controls.get('trace-exits')?.share, kernel.attached.has('timed_exits')],
    [1, true],
  );
  await backend.stop();
});

test('the kernel times the cost of events for an interval in ten minutes, if that is allowed', async () => {
  const { kernel, start, clock, timers } = setUp(['exits']);
  let events = 0;
  const pass = (rate: number, nsOfEach: number): void => {
    events += rate / 4;
    kernel.gates.set('trace-exits 0', [{ events, passed: events, dropped: 0 }]);
    if (kernel.isTiming) kernel.runNs.set('exits', (kernel.runNs.get('exits') ?? 0) + (rate / 4) * nsOfEach);
    clock.ms += 250;
    for (const adjust of timers) adjust();
  };
  pass(0, 0);
  const backend = start();
  pass(1000, 600);
  pass(1000, 600);
  assert.deepEqual([kernel.isTiming, backend.costFactor], [false, undefined], 'few events');
  pass(10_000, 600);
  assert.ok(kernel.isTiming);
  pass(10_000, 600);
  assert.deepEqual([kernel.isTiming, backend.costFactor], [false, 3]);
  // 10,000 events of 600 ns take 0.6%, and 20,000 more than 1%.
  assert.ok(Math.abs(backend.costRatio - 0.0033) < 1e-4, `${backend.costRatio}`);
  pass(20_000, 600);
  assert.deepEqual(kernel.controls.get('trace-exits')?.periods, [2]);
  for (let i = 0; i < 2300; i++) pass(20_000, 400);
  assert.deepEqual([kernel.isTiming, backend.costFactor], [false, 3]);
  for (let i = 0; i < 200; i++) pass(20_000, 400);
  assert.deepEqual([kernel.isTiming, backend.costFactor], [false, 2]);
  for (let i = 0; i < 2400 && !kernel.isTiming; i++) pass(20_000, 400);
  assert.ok(kernel.isTiming);
  await backend.stop();
  assert.ok(!kernel.isTiming);

  kernel.refuseTiming = new SourceError('denied', 'BPF statistics', 'EPERM', 'EPERM');
  const without = start();
  for (let i = 0; i < 10; i++) pass(20_000, 400);
  assert.deepEqual([kernel.isTiming, without.costFactor, without.problems], [false, undefined, []]);
});

test('after a new start the counts continue, and the maps of the old objects no longer count', async () => {
  const { kernel, tallies, start, read } = setUp(['halt_poll']);
  const first = start();
  kernel.put('halt_poll_counts', [11, 1], [4]);
  assert.equal(read(first).events.get('kvm_halt_poll_ns'), 4);
  await first.stop();
  assert.deepEqual([...kernel.loaded, ...kernel.attached], []);
  const second = start();
  kernel.put('halt_poll_counts', [11, 1], [3]);
  assert.equal(read(second).events.get('kvm_halt_poll_ns'), 7);
  // Another backend has taken over with maps of its own.
  tallies.restart();
  kernel.put('halt_poll_counts', [11, 1], [9]);
  await second.stop();
  assert.equal(second.of('vm').events.get('kvm_halt_poll_ns'), 7);
});
