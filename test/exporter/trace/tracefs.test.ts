import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Isa } from '../../../exporter/model/io-path.ts';
import type { TraceSetName } from '../../../exporter/trace/sets.ts';
import { Tallies } from '../../../exporter/trace/tallies.ts';
import type { Owner } from '../../../exporter/trace/tally.ts';
import { TracefsBackend } from '../../../exporter/trace/tracefs.ts';
import type { TallyName } from '../../../exporter/trace/trigger.ts';
import type { TracefsWriter } from '../../../exporter/trace/writer.ts';
import { cpuMs } from '../../../testing/patience.ts';
import { type SimulatedTracefsOptions, simulatedTracefs } from '../../../testing/simulated-tracefs.ts';
import {
  formatsOf,
  KVM_EXIT_ARM64,
  KVM_EXIT_LOONGARCH,
  KVM_EXIT_RISCV,
} from '../../../testing/tracepoint-formats.ts';

const OWN = 'kvm-telemetry-7';
const EXIT_KEYS = 'common_pid,exit_reason';
/** Thread ids below 1000 are VM a's, from 1000 to 100,000 b's; the others are of the host. */
const [A, B] = ['a', 'b'].map((vm): Owner => ({ vm, thread: 'vcpu0', startTime: 0 }));
const ownerOf = (tid: number): Owner | undefined => (tid < 1000 ? A : tid < 100_000 ? B : undefined);
const FOLLOWED = [11, 12];

interface Options extends SimulatedTracefsOptions {
  readonly sets?: readonly TraceSetName[];
  readonly dutyCycle?: number;
  readonly followed?: readonly number[];
  readonly isa?: Isa;
  readonly budget?: number;
}

function setUp(
  context: TestContext,
  { sets = ['exits'], dutyCycle = 1, budget = 1, followed = FOLLOWED, isa = 'svm', ...more }: Options = {},
) {
  const tracefs = simulatedTracefs(context, more);
  const tallies = new Tallies();
  const threads = { ownerOf, onIoPath: followed };
  const clock = { seconds: 0 };
  let afterWrite = (_line: string): void => undefined;
  const writer: TracefsWriter = {
    ...tracefs.writer,
    async append(path, line) {
      await tracefs.writer.append(path, line);
      afterWrite(line);
    },
  };
  const dependencies = {
    host: tracefs.host,
    writer,
    pid: 7,
    now: () => clock.seconds * 1000,
    random: () => 0.3,
    sinceBoot: () => clock.seconds,
  };
  const backend = new TracefsBackend(dependencies, { sets, dutyCycle, budget, isa, tallies, threads });
  return {
    tracefs,
    backend,
    tallies,
    onWrite(work: (line: string) => void) {
      afterWrite = work;
    },
    start: () => backend.start(),
    read() {
      for (const _ of backend.read());
    },
    /** Lets seconds pass. */
    async tick(seconds = 1, now: readonly number[] = followed) {
      for (let i = 0; i < seconds; i++) {
        clock.seconds++;
        threads.onIoPath = now;
        await backend.tick();
      }
    },
    hits(name: TallyName, vm = 'a') {
      return [...(tallies.get(name)?.of(vm) ?? [])].reduce((sum, { count }) => sum + count.hits, 0);
    },
    set: (name: TraceSetName) => backend.sets.find(({ set }) => set === name),
    problems: () =>
      backend.problems.map(
        ({ kind, path, reason }) => `${kind} ${path.replace(/.*\/tracing\//, '')}: ${reason}`,
      ),
  };
}

test('the growth of a map between two readings is counted by VM', async (context) => {
  const { tracefs, start, read, hits, problems, set } = setUp(context);
  await start();
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 5);
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [1011, 120], 2);
  read();
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 3);
  for (const _ of [1, 2]) read();
  assert.deepEqual([hits('exits'), hits('exits', 'b')], [8, 2]);
  assert.deepEqual(problems(), []);
  assert.equal(set('exits')?.entries, 2);
});

for (const [dutyCycle, windows] of [
  [0.1, '.........x.........x'],
  [0.5, '.x.x.x.x.x.x.x.x.x.x'],
  [1, 'xxxxxxxxxxxxxxxxxxxx'],
] as const) {
  test(`with a duty cycle of ${dutyCycle} one-second windows are open ${windows}, and the active ratio agrees`, async (context) => {
    const { tracefs, start, tick, set, problems } = setUp(context, {
      sets: ['exits', 'exit_duration'],
      dutyCycle,
    });
    await start();
    let seen = '';
    for (let i = 0; i < 20; i++) {
      await tick();
      const open = tracefs.triggers('kvm/kvm_entry').length;
      assert.equal(
        tracefs.triggers('kvm/kvm_exit').length,
        open + 1,
        'both triggers of a latency, besides that of the exits',
      );
      assert.equal(tracefs.triggers('synthetic/@exit').length, 1, 'the results stay');
      seen += open === 1 ? 'x' : '.';
    }
    assert.equal(seen, windows);
    await tick();
    // The last window has been open for 1 s of 21; the first began a window's length after the start.
    const active = windows.length * dutyCycle;
    assert.equal(set('exit_duration')?.activeRatio, active / 21);
    assert.equal(set('exits')?.activeRatio, 1);
    assert.deepEqual(problems(), []);
  });
}

test('a set with more events than the budget allows counts in some seconds, and each event stands for the others', async (context) => {
  const { tracefs, start, tick, read, hits, set, problems } = setUp(context, {
    sets: ['exits', 'halt_poll'],
    budget: 0.01,
  });
  await start();
  let seconds = '';
  let all = 0;
  const second = async (events: number): Promise<void> => {
    const isOpen = tracefs.triggers('kvm/kvm_exit').length === 1;
    seconds += isOpen ? '|' : '.';
    all += events;
    if (isOpen) tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], events);
    assert.equal(
      tracefs.triggers('kvm/kvm_halt_poll_ns').length,
      1,
      'a set with few events counts all the time',
    );
    await tick();
  };
  // 50,000 exits a second take 2.2% of a CPU.
  for (let i = 0; i < 41; i++) await second(50_000);
  assert.match(seconds, /^\|{5}(\.|\|)+$/);
  assert.equal(seconds.slice(5).replace(/\./g, '').length, 9, seconds);
  read();
  assert.equal(hits('exits'), all);
  assert.deepEqual([set('exits')?.sampledRatio, set('halt_poll')?.sampledRatio], [1 / 4, 1]);
  assert.deepEqual([set('exits')?.windowEvery, set('halt_poll')?.windowEvery], [4, undefined]);
  assert.deepEqual([set('exits')?.entries !== undefined, problems()], [true, []]);
  // No count falls when the load ends, and all of it counts again.
  const before = hits('exits');
  for (let i = 0; i < 8; i++) await second(100);
  assert.equal(set('exits')?.sampledRatio, 1);
  read();
  const from = hits('exits');
  assert.ok(from >= before);
  for (let i = 0; i < 5; i++) await second(100);
  read();
  assert.ok(Math.abs(hits('exits') - from - 500) <= 100, `${hits('exits') - from}`);
});

test('while a set does not count, a reading and the loss of the instance change nothing', async (context) => {
  const { tracefs, start, tick, read, hits, set, problems } = setUp(context, { budget: 0.001 });
  await start();
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 500_000);
  await tick(5);
  assert.equal(tracefs.triggers('kvm/kvm_exit').length, 0);
  read();
  assert.equal(hits('exits'), 500_000);
  tracefs.deleteInstance(OWN);
  await tick();
  read();
  assert.equal(hits('exits'), 500_000);
  assert.deepEqual([set('exits')?.set, problems()], ['exits', []]);
});

test('each window begins with empty maps, so no time stamp is older than the window', async (context) => {
  const { tracefs, start, tick } = setUp(context, { sets: ['exit_duration'], dutyCycle: 0.5 });
  await start();
  await tick(2);
  tracefs.hit('kvm/kvm_exit', 'common_pid', [11]);
  await tick(2);
  assert.doesNotMatch(
    tracefs.host.text(`${tracefs.host.roots.tracefs}/instances/${OWN}/events/kvm/kvm_exit/hist`),
    /common_pid: +11/,
  );
});

test('a map of keys that occur once is created again each second, and its drops are counted', async (context) => {
  const { tracefs, start, tick, set, hits, read } = setUp(context, { sets: ['block_duration'] });
  await start();
  await tick();
  for (const dropped of [5, 7]) {
    tracefs.show('block/block_rq_issue', 'dev,sector', [[1, 1, 1]], { dropped });
    tracefs.hit('synthetic/@block', 'pid,lat.log2', [11, 12], 1, 4000);
    await tick();
    assert.deepEqual(tracefs.triggers('block/block_rq_issue').length, 1);
  }
  read();
  assert.equal(set('block_duration')?.dropped, 12);
  assert.equal(hits('blockDurations'), 2, 'the results stay');
  assert.equal(set('block_duration')?.activeRatio, 2 / 3);
});

test('drops of windows outlive the backend', async (context) => {
  const { tracefs, backend, start, tick, tallies } = setUp(context, { sets: ['block_duration'] });
  await start();
  await tick();
  tracefs.show('block/block_rq_issue', 'dev,sector', [[1, 1, 1]], { dropped: 5 });
  await tick();
  await backend.stop();
  assert.equal(tallies.get('blockDurations')?.dropped, 5);
});

test('a window that is always open is created again each minute, because exited threads fill its maps', async (context) => {
  const { tracefs, start, tick, set } = setUp(context, { sets: ['exit_duration'] });
  await start();
  await tick();
  tracefs.show(
    'kvm/kvm_exit',
    'common_pid',
    Array.from({ length: 4096 }, (_, i) => [i, 1]),
  );
  await tick(58);
  const entry = (): string =>
    tracefs.host.text(`${tracefs.host.roots.tracefs}/instances/${OWN}/events/kvm/kvm_exit/hist`);
  assert.match(entry(), /Entries: 4096/);
  await tick();
  assert.match(entry(), /Entries: 0/);
  assert.equal(tracefs.triggers('kvm/kvm_entry').length, 1);
  assert.equal(set('exit_duration')?.activeRatio, 59 / 60);
});

test('a map that is three quarters full is cleared, and no count is lost or counted twice', async (context) => {
  const { tracefs, start, tick, read, hits, set } = setUp(context);
  await start();
  const hostThreads = Array.from({ length: 12_288 }, (_, i) => [100_000 + i, 120, 1]);
  tracefs.show('kvm/kvm_exit', EXIT_KEYS, [...hostThreads.slice(1), [11, 120, 5]]);
  read();
  await tick();
  assert.equal(set('exits')?.entries, 12_288, 'not yet: a quarter is free');
  assert.ok(!tracefs.written.some((line) => line.includes(':clear')));
  tracefs.show('kvm/kvm_exit', EXIT_KEYS, [...hostThreads, [11, 120, 5]]);
  read();
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 2);
  await tick();
  assert.deepEqual(
    tracefs.written.filter((line) => line.includes(':clear')),
    ['kvm/kvm_exit hist:keys=common_pid,exit_reason:size=16384:clear'],
  );
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 100);
  read();
  await tick();
  assert.equal(hits('exits'), 107);
  assert.equal(set('exits')?.entries, 1);
});

test('a reading while a map is being cleared counts nothing twice', async (context) => {
  const { tracefs, start, tick, read, hits, onWrite } = setUp(context);
  await start();
  tracefs.show('kvm/kvm_exit', EXIT_KEYS, [[11, 120, 5]], { dropped: 1 });
  read();
  onWrite((line) => {
    if (!line.includes(':clear')) return;
    tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 3);
    read();
  });
  await tick();
  read();
  assert.equal(hits('exits'), 8);
});

test('a map with variables cannot be cleared, so its trigger is created again', async (context) => {
  const { tracefs, start, tick, read, hits, problems } = setUp(context, { sets: ['notifications'] });
  await start();
  const hostThreads = Array.from({ length: 3072 }, (_, i) => [100_000 + i, 1]);
  tracefs.show('kvm/kvm_mmio', 'common_pid', [[11, 9], ...hostThreads]);
  read();
  await tick();
  tracefs.hit('kvm/kvm_mmio', 'common_pid', [11], 1);
  read();
  assert.equal(hits('mmio'), 10);
  assert.deepEqual(problems(), []);
  assert.equal(tracefs.allTriggers().length, 8);
  assert.ok(!tracefs.written.some((line) => line.includes(':clear')));
});

test('a map that live VM threads fill is enlarged up to the kernel’s limit, then cleared', async (context) => {
  const { tracefs, start, tick, read, hits, set } = setUp(context);
  await start();
  const rows = (count: number) =>
    Array.from({ length: count }, (_, i) => [1000 + (i % 90_000), 120 + Math.floor(i / 90_000), 1]);
  for (const [count, size] of [
    [12_289, 32_768],
    [24_577, 65_536],
    [49_153, 131_072],
  ] as const) {
    tracefs.show('kvm/kvm_exit', EXIT_KEYS, rows(count));
    read();
    await tick();
    assert.match(tracefs.triggers('kvm/kvm_exit').join(), new RegExp(`size=${size}$`));
  }
  tracefs.show('kvm/kvm_exit', EXIT_KEYS, rows(98_305), { dropped: 3 });
  read();
  await tick();
  assert.match(tracefs.triggers('kvm/kvm_exit').join(), /size=131072$/);
  assert.equal(tracefs.written.filter((line) => line.includes(':clear')).length, 1);
  assert.equal(hits('exits', 'b'), 12_289 + 24_577 + 49_153 + 98_305);
  assert.equal(set('exits')?.dropped, 3);
});

test('dropped events are counted over all maps, and a full map is cleared', async (context) => {
  const { tracefs, start, tick, read, set } = setUp(context);
  await start();
  for (const [dropped, total] of [
    [4, 4],
    [6, 10],
  ] as const) {
    tracefs.show('kvm/kvm_exit', EXIT_KEYS, [[11, 120, 1]], { dropped });
    for (const _ of [1, 2]) read();
    assert.equal(set('exits')?.dropped, total);
    await tick();
    assert.match(tracefs.written.at(-1) ?? '', /:clear$/);
  }
});

test('if another program removes the instance, it is created again and the totals are kept', async (context) => {
  const { tracefs, start, tick, read, hits, problems, set } = setUp(context, {
    sets: ['exits', 'exit_duration'],
  });
  await start();
  await tick();
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 5);
  read();
  tracefs.deleteInstance(OWN);
  read();
  assert.ok(
    problems().length > 0 && problems().every((problem) => problem.startsWith('absent')),
    problems().join(),
  );
  await tick();
  assert.deepEqual(tracefs.instances(), [OWN]);
  assert.equal(tracefs.allTriggers().length, 4);
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 6);
  read();
  assert.equal(hits('exits'), 11);
  assert.deepEqual(problems(), []);
  assert.equal(set('exit_duration')?.activeRatio, 1 / 2);
});

test('if another program removes a trigger, this is reported, the trigger is created again, and the totals are kept', async (context) => {
  const { tracefs, start, tick, read, hits, problems } = setUp(context, { sets: ['exits', 'interrupts'] });
  await start();
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 5);
  tracefs.hit('kvm/kvm_eoi', 'common_pid', [11], 7);
  read();
  tracefs.removeTrigger('kvm/kvm_exit', EXIT_KEYS);
  read();
  assert.deepEqual(problems(), ['failed kvm/kvm_exit: another program removed our trigger']);
  await tick();
  assert.equal(tracefs.triggers('kvm/kvm_exit').length, 1);
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 3);
  read();
  assert.deepEqual([hits('exits'), hits('eois')], [8, 7]);
  assert.deepEqual(problems(), []);
});

test('a trigger that is back before the next tick is not created again', async (context) => {
  const { tracefs, start, tick, read, hits, problems } = setUp(context, { sets: ['exits', 'interrupts'] });
  await start();
  const [line = ''] = tracefs.written.filter((each) => each.startsWith('kvm/kvm_exit hist:'));
  tracefs.removeTrigger('kvm/kvm_exit', EXIT_KEYS);
  tracefs.removeTrigger('kvm/kvm_eoi', 'common_pid');
  read();
  assert.equal(problems().length, 2);
  const path = `${tracefs.host.roots.tracefs}/instances/${OWN}/events/kvm/kvm_exit/trigger`;
  await tracefs.writer.append(path, line.replace('kvm/kvm_exit ', ''));
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 5);
  const before = tracefs.written.length;
  await tick();
  const written = tracefs.written.slice(before);
  assert.ok(
    written.length > 0 && written.every((each) => !each.startsWith('kvm/kvm_exit ')),
    written.join('\n'),
  );
  read();
  assert.equal(hits('exits'), 5);
  assert.deepEqual(problems(), []);
});

test('if another program clears a map, counting continues', async (context) => {
  const { tracefs, start, read, hits } = setUp(context);
  await start();
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 5);
  read();
  tracefs.clear('kvm/kvm_exit', EXIT_KEYS);
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 2);
  read();
  assert.equal(hits('exits'), 7);
});

test('a missing event costs its triggers and those that depend on them, and no others', async (context) => {
  const { tracefs, start, tick, problems, set } = setUp(context, {
    sets: ['exits', 'interrupts', 'lock', 'block_duration'],
    events: {
      'lock/contention_begin': undefined,
      'kvm/kvm_pv_eoi': undefined,
      'block/block_rq_complete': undefined,
    },
  });
  await start();
  await tick(3);
  assert.deepEqual(problems(), [
    'absent kvm/kvm_pv_eoi: no such tracepoint in this kernel',
    'absent lock/contention_begin: no such tracepoint in this kernel',
    'absent block/block_rq_complete: no such tracepoint in this kernel',
  ]);
  assert.equal(tracefs.triggers('lock/contention_end').length, 0);
  for (const event of ['kvm/kvm_exit', 'kvm/kvm_eoi']) assert.equal(tracefs.triggers(event).length, 1, event);
  assert.equal(set('interrupts')?.activeRatio, 1);
  assert.equal(set('lock')?.activeRatio, 0);
});

test('a missing field costs its trigger', async (context) => {
  const { start, problems, tracefs } = setUp(context, {
    sets: ['halt_poll', 'exits'],
    events: {
      'kvm/kvm_halt_poll_ns':
        'name: kvm_halt_poll_ns\nID: 9\nformat:\n\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\nprint fmt: ""\n',
    },
  });
  await start();
  assert.deepEqual(problems(), [
    'absent kvm/kvm_halt_poll_ns: the tracepoint has no field grow in this kernel',
  ]);
  assert.equal(tracefs.triggers('kvm/kvm_exit').length, 1);
});

test('the events of a module are counted once it is loaded', async (context) => {
  const { tracefs, start, tick, read, hits, problems } = setUp(context, {
    events: { 'kvm/kvm_exit': undefined },
  });
  await start();
  await tick();
  assert.equal(problems().length, 1);
  tracefs.setEvent('kvm/kvm_exit', formatsOf('6.1').get('kvm/kvm_exit'));
  await tick(29);
  tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [11, 120], 2);
  read();
  assert.equal(hits('exits'), 2);
  assert.deepEqual(problems(), []);
});

test('a refused trigger is reported with the kernel’s reason, and costs no other trigger', async (context) => {
  const { tracefs, start, problems } = setUp(context, { sets: ['exits', 'halt_poll'] });
  tracefs.refuse(/^kvm\/kvm_exit hist/, 'EINVAL', 'Invalid map size');
  await start();
  assert.equal(problems().length, 1);
  assert.match(
    problems()[0] ?? '',
    /^failed .*kvm_exit\/trigger: EINVAL: hist:kvm:kvm_exit: error: Invalid map size/,
  );
  assert.equal(tracefs.triggers('kvm/kvm_halt_poll_ns').length, 1);
});

test('a kernel without hist triggers is reported, and the instance is removed', async (context) => {
  const { tracefs, start } = setUp(context, { hist: false });
  await assert.rejects(start(), { name: 'SourceError', kind: 'absent', reason: /CONFIG_HIST_TRIGGERS/ });
  assert.deepEqual(tracefs.instances(), []);
});

for (const [code, kind] of [
  ['EROFS', 'failed'],
  ['EPERM', 'denied'],
] as const) {
  test(`a tracefs that fails with ${code} is of the kind ${kind}`, async (context) => {
    const { tracefs, start } = setUp(context);
    tracefs.refuse(/./, code);
    await assert.rejects(start(), { name: 'SourceError', kind, reason: code });
    assert.deepEqual(tracefs.instances(), []);
  });
}

test('filters name the threads on the I/O path, and new threads at the next tick', async (context) => {
  const { tracefs, start, tick, read, hits, problems } = setUp(context, { sets: ['sched'], followed: [] });
  await start();
  assert.deepEqual(tracefs.allTriggers(), []);
  await tick(1, [11]);
  assert.match(tracefs.triggers('sched/sched_switch').join(), / if prev_pid == 11$/);
  tracefs.hit('sched/sched_switch', 'prev_pid', [11], 5);
  await tick(1, [11, 12]);
  assert.match(tracefs.triggers('sched/sched_switch').join(), / if prev_pid == 11 \|\| prev_pid == 12$/);
  tracefs.hit('sched/sched_switch', 'prev_pid', [11], 2);
  await tick(1, [11, 12]);
  read();
  assert.equal(hits('switches'), 7);
  assert.equal(
    tracefs.written.filter((line) => line.startsWith('sched/sched_switch hist')).length,
    2,
    'not each second',
  );
  assert.deepEqual(problems(), []);
});

test('a trigger that could not be removed is replaced when it is installed again', async (context) => {
  const { tracefs, start, tick, problems } = setUp(context, { sets: ['sched'] });
  await start();
  const allow = tracefs.refuse(/sched_switch !hist/, 'ENOMEM');
  await tick(1, [11]);
  allow();
  await tick(1, FOLLOWED);
  assert.deepEqual(problems(), []);
  assert.deepEqual(
    tracefs.triggers('sched/sched_switch').map((trigger) => / if ([^[]*)/.exec(trigger)?.[1]?.trim()),
    ['prev_pid == 11 || prev_pid == 12'],
  );
});

test('new and exited threads change nothing in sets for all threads', async (context) => {
  const { tracefs, start, tick } = setUp(context, { sets: ['exits', 'interrupts'] });
  await start();
  const before = tracefs.written.length;
  for (const threads of [[11], [11, 12, 13], []]) await tick(1, threads);
  assert.equal(tracefs.written.length, before);
});

test('on arm64 the triggers that only x86 has are skipped', async (context) => {
  const { tracefs, start, tick, read, hits, problems } = setUp(context, {
    isa: 'arm64',
    sets: ['exits', 'notifications', 'interrupts', 'exit_duration'],
    events: {
      'kvm/kvm_exit': KVM_EXIT_ARM64,
      ...Object.fromEntries(
        ['fast_mmio', 'pio', 'msi_set_irq', 'inj_virq', 'eoi', 'pv_eoi'].map((event) => [
          `kvm/kvm_${event}`,
          undefined,
        ]),
      ),
    },
  });
  await start();
  await tick();
  tracefs.hit('kvm/kvm_exit', 'common_pid,ret,esr_ec', [11, 2, 1], 5);
  read();
  assert.deepEqual(problems(), []);
  assert.equal(hits('exits'), 5);
});

for (const [architecture, format] of [
  ['RISC-V', KVM_EXIT_RISCV],
  ['LoongArch', KVM_EXIT_LOONGARCH],
] as const) {
  test(`on ${architecture} exits are counted without reasons, kicks not at all, and both is reported`, async (context) => {
    const { tracefs, backend, start, tick, read, problems } = setUp(context, {
      isa: 'other',
      sets: ['exits', 'notifications', 'exit_duration'],
      events: { 'kvm/kvm_exit': format, 'kvm/kvm_fast_mmio': undefined, 'kvm/kvm_pio': undefined },
    });
    await start();
    await tick();
    tracefs.hit('kvm/kvm_exit', 'common_pid', [11], 5);
    read();
    const { exits, kicks, kickTotal, events, exitDurations } = backend.of('a');
    assert.equal(events.get('kvm_exit'), 5);
    assert.deepEqual([exits, kicks, kickTotal, exitDurations.size], [undefined, undefined, undefined, 0]);
    assert.deepEqual(problems(), [
      'absent kvm/kvm_exit: exits by reason are not available: on this architecture the event has other fields',
      'absent kvm/kvm_mmio: kicks are not available: on this architecture KVM may have no event for them',
      'absent kvm/kvm_exit: the tracepoint has no field exit_reason in this kernel',
    ]);
  });
}

test('129 threads do not fit into the filter of a trigger: the set reports this and is off until there are fewer', async (context) => {
  const tids = Array.from({ length: 129 }, (_, i) => 11 + i);
  const { tracefs, start, tick, problems, set } = setUp(context, {
    sets: ['sched', 'exits'],
    followed: tids,
  });
  await start();
  assert.deepEqual(problems(), [
    'too_large trace set sched: not traced: 129 VM threads, but the filter of a trigger has room for 128',
  ]);
  assert.deepEqual([tracefs.triggers('sched/sched_switch'), set('sched')], [[], undefined]);
  assert.equal(tracefs.triggers('kvm/kvm_exit').length, 1);
  await tick(1, tids.slice(1));
  assert.equal(tracefs.triggers('sched/sched_switch').length, 1);
  assert.deepEqual(problems(), []);
});

test('another program’s instance with triggers on the same events stays unchanged', async (context) => {
  const { tracefs, backend, start, tick } = setUp(context, {
    sets: ['exits', 'exit_duration', 'block_duration'],
    dutyCycle: 0.5,
  });
  const instance = `${tracefs.host.roots.tracefs}/instances/x`;
  await tracefs.writer.makeDirectory(instance);
  await tracefs.writer.append(
    `${instance}/events/kvm/kvm_exit/trigger`,
    'hist:keys=common_pid,exit_reason:size=16384',
  );
  await tracefs.writer.append(
    `${instance}/events/block/block_rq_issue/trigger`,
    'hist:keys=dev:t0=common_timestamp',
  );
  const theirs = tracefs.allTriggers('x');
  await start();
  await tick(5);
  assert.deepEqual(await backend.stop(), []);
  assert.deepEqual(tracefs.allTriggers('x'), theirs);
  assert.deepEqual([tracefs.instances(), tracefs.synthetic()], [['x'], []]);
});

test('a file of 200,000 lines is read, and another program’s block with thread names changes nothing', async (context) => {
  const { tracefs, start, read, hits, problems } = setUp(context);
  await start();
  tracefs.show(
    'kvm/kvm_exit',
    EXIT_KEYS,
    Array.from({ length: 200_000 }, (_, i) => [i % 50_000, 120 + Math.floor(i / 50_000), i]),
  );
  const name = 'a }, b: 1 } hit'.padEnd(50);
  const file = `sys/kernel/tracing/instances/${OWN}/events/kvm/kvm_exit/hist`;
  tracefs.tree.write(
    file,
    `${tracefs.host.text(`${tracefs.tree.folder}/${file}`, 2 ** 25)}\n\n` +
      '# event histogram\n#\n# trigger info: hist:keys=comm:vals=hitcount:sort=hitcount:size=2048 [active]\n#\n\n' +
      `{ comm: ${name} } hitcount: ${'7'.padStart(10)}\n\nTotals:\n    Hits: 7\n    Entries: 1\n    Dropped: 0\n`,
  );
  const ms = await cpuMs(() => read());
  assert.ok(ms < 10_000, `${ms} ms`);
  let [a, b] = [0, 0];
  for (let i = 0; i < 200_000; i++) {
    if (i % 50_000 < 1000) a += i;
    else b += i;
  }
  assert.deepEqual([hits('exits'), hits('exits', 'b')], [a, b]);
  assert.deepEqual(problems(), []);
});

test('a malformed hist file is reported, and the other events are counted', async (context) => {
  const { tracefs, start, read, hits, problems } = setUp(context, { sets: ['exits', 'interrupts'] });
  await start();
  tracefs.hit('kvm/kvm_eoi', 'common_pid', [11], 7);
  tracefs.tree.write(`sys/kernel/tracing/instances/${OWN}/events/kvm/kvm_exit/hist`, 'nonsense\n');
  read();
  assert.equal(hits('eois'), 7);
  assert.equal(problems().length, 1);
  assert.match(problems()[0] ?? '', /^malformed/);
});
