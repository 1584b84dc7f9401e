import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Vm, VmThread } from '../../../exporter/model/vm.ts';
import type { TraceSettings } from '../../../exporter/trace/backend-choice.ts';
import type { PerfListener } from '../../../exporter/trace/perf-process.ts';
import { Trace } from '../../../exporter/trace/trace.ts';
import { SourceError } from '../../../probes/errors.ts';
import { type SimulatedTracefsOptions, simulatedTracefs } from '../../../testing/simulated-tracefs.ts';
import { formatsOf } from '../../../testing/tracepoint-formats.ts';

const EXIT_KEYS = 'common_pid,exit_reason';
const OWN = 'kvm-telemetry-7';
const WEB = { key: '10:1000', label: 'web' } as Vm;

function thread(tid: number, role: VmThread['role'], label: string): VmThread {
  return { tid, startTime: 1000, comm: '', role, label, path: '' };
}

interface Perf {
  readonly events: readonly string[];
  readonly tids: readonly number[];
  readonly listener: PerfListener;
}

function setUp(
  context: TestContext,
  settings: Partial<TraceSettings> = {},
  options: SimulatedTracefsOptions = {},
) {
  const tracefs = simulatedTracefs(context, options);
  tracefs.tree.write('sys/module/kvm_amd/refcnt', '1\n');
  const perfs: Perf[] = [];
  const clock = { seconds: 100 };
  let current: TraceSettings = {
    backend: 'auto',
    sets: ['exits', 'interrupts'],
    budget: 1,
    bpf: 'auto',
    ...settings,
  };
  const threads = new Map([
    [
      WEB,
      [
        thread(11, 'vcpu', 'vcpu0'),
        thread(12, 'iothread', 'iothread:io0'),
        thread(10, 'emulator', 'emulator'),
      ],
    ],
  ]);
  const trace = new Trace(
    {
      host: tracefs.host,
      writer: tracefs.writer,
      pid: 7,
      now: () => clock.seconds * 1000,
      sinceBoot: () => clock.seconds,
      repeat: () => ({ stop: () => undefined }),
      startPerf: (events, tids, listener) => {
        perfs.push({ events: events.map(({ event }) => event), tids, listener });
        return { end: () => listener.ended(new SourceError('failed', 'perf', 'ended on request')) };
      },
    },
    current,
    { vms: [WEB], threadsOf: (vm) => threads.get(vm) ?? [] },
  );
  return {
    tracefs,
    trace,
    perfs,
    threads,
    change: (to: Partial<TraceSettings>): void => {
      current = { ...current, ...to };
      trace.configure(current);
    },
    async tick(seconds = 1) {
      for (let i = 0; i < seconds; i++) {
        clock.seconds++;
        await trace.tick();
      }
    },
    exits: (count: number, tid = 11) => tracefs.hit('kvm/kvm_exit', EXIT_KEYS, [tid, 120], count),
    event: (name: string) => trace.read().of(WEB)?.events.get(name),
    problems: () => trace.read().problems.map(({ kind, reason }) => `${kind}: ${reason}`),
  };
}

test('tracefs counts by VM, thread and reason, and stop() removes everything', async (context) => {
  const { tracefs, trace, exits, tick, perfs } = setUp(context, { sets: ['exits', 'exit_duration'] });
  await trace.start();
  await tick();
  exits(5);
  exits(2, 99);
  const { backend, isa, names, of, problems, limits, sets } = trace.read();
  assert.deepEqual([backend, isa, names.get(120), problems, limits], ['tracefs', 'svm', 'hlt', [], []]);
  assert.deepEqual(of(WEB)?.exits, [{ thread: 'vcpu0', reason: 120, count: 5 }]);
  assert.deepEqual(
    sets.map(({ set }) => set),
    ['exits', 'exit_duration'],
  );
  assert.deepEqual(perfs, []);
  await trace.stop();
  assert.deepEqual([tracefs.instances(), tracefs.synthetic()], [[], []]);
  assert.equal(trace.read().backend, undefined);
});

test('a reading that yields between the maps has the same counts', async (context) => {
  const { trace, exits } = setUp(context);
  await trace.start();
  exits(5);
  let yields = 0;
  const reading = await trace.readPaced(async () => void yields++);
  assert.ok(yields >= 4, `${yields}`);
  assert.equal(reading.of(WEB)?.events.get('kvm_exit'), 5);
  assert.equal(trace.read().of(WEB)?.events.get('kvm_exit'), 5);
});

test('events during a paced reading are counted once, also if the settings change during it', async (context) => {
  const { tracefs, trace, exits, change, tick, event } = setUp(context);
  await trace.start();
  exits(5);
  let yields = 0;
  await trace.readPaced(async () => {
    if (yields++ !== 1) return;
    exits(1);
    change({ sets: ['exits'] });
    await tick();
    exits(10);
  });
  assert.equal(tracefs.allTriggers().length, 1);
  assert.equal(event('kvm_exit'), 16);
});

test('backend auto uses perf on a kernel without hist triggers, and reports why', async (context) => {
  const { tracefs, trace, perfs, tick, event } = setUp(context, {}, { hist: false });
  await trace.start();
  await tick();
  const { backend, problems, limits } = trace.read();
  assert.deepEqual([backend, problems], ['perf', []]);
  assert.match(limits[0] ?? '', /^perf is used because tracefs is not usable: .*CONFIG_HIST_TRIGGERS/);
  assert.match(limits.join(), /does not count kvm_msi_set_irq/);
  assert.deepEqual(tracefs.instances(), []);
  assert.deepEqual(
    perfs.map(({ tids }) => tids),
    [[11]],
    'vCPUs only',
  );
  perfs[0]?.listener.counted(perfs[0].events.map((_, i) => (i === 0 ? 7 : 0)));
  assert.equal(event('kvm_exit'), 7);
  await trace.stop();
  assert.equal(trace.read().backend, undefined);
});

test('backend auto returns to tracefs when it becomes usable, and tries less and less often', async (context) => {
  const { tracefs, trace, perfs, tick, exits, event } = setUp(context);
  const end = tracefs.refuse(/^mkdir/, 'EMFILE');
  await trace.start();
  perfs[0]?.listener.counted(perfs[0].events.map(() => 7));
  assert.deepEqual([trace.read().backend, event('kvm_exit')], ['perf', 7]);
  await tick(60);
  assert.equal(trace.read().backend, 'perf', 'the first try failed');
  end();
  await tick(119);
  assert.equal(trace.read().backend, 'perf');
  await tick(1);
  const { backend, limits, problems } = trace.read();
  assert.deepEqual([backend, limits, problems, perfs.length], ['tracefs', [], [], 1]);
  exits(5);
  assert.equal(event('kvm_exit'), 5);
});

test('backend tracefs never uses perf', async (context) => {
  const { trace, perfs, problems, tick } = setUp(context, { backend: 'tracefs' }, { hist: false });
  await trace.start();
  await tick();
  const { backend, limits } = trace.read();
  assert.deepEqual([backend, limits, perfs], [undefined, [], []]);
  assert.deepEqual(problems(), ['absent: no hist triggers in this kernel (CONFIG_HIST_TRIGGERS)']);
});

test('backend perf is used even if tracefs could count', async (context) => {
  const { tracefs, trace, perfs } = setUp(context, { backend: 'perf' });
  await trace.start();
  assert.equal(perfs.length, 1);
  assert.deepEqual(tracefs.written, []);
  assert.ok(trace.read().limits.every((limit) => !limit.includes('tracefs')));
});

test('backend off writes nothing and starts nothing', async (context) => {
  const { tracefs, trace, perfs, tick } = setUp(context, { backend: 'off' });
  await trace.start();
  await tick(61);
  const { backend, problems, sets, of } = trace.read();
  assert.deepEqual([backend, problems, sets, of(WEB)], [undefined, [], [], undefined]);
  assert.deepEqual([tracefs.written, perfs], [[], []]);
  await trace.stop();
});

test('without tracefs and perf auto reports the reason, and tries again after a minute', async (context) => {
  const { tracefs, trace, problems, tick } = setUp(context);
  const end = tracefs.refuse(/./, 'EROFS');
  for (const event of formatsOf('6.1').keys()) tracefs.setEvent(event, undefined);
  await trace.start();
  assert.deepEqual(problems(), ['absent: tracefs is not mounted, or the kvm module is not loaded']);
  end();
  for (const [event, format] of formatsOf('6.1')) tracefs.setEvent(event, format);
  await tick(59);
  assert.equal(trace.read().backend, undefined);
  await tick();
  assert.equal(trace.read().backend, 'tracefs');
  assert.deepEqual(problems(), []);
});

test('a change of settings keeps the totals of the remaining sets, and counts that were not read yet', async (context) => {
  const { tracefs, trace, exits, event, tick, change } = setUp(context);
  await trace.start();
  exits(5);
  assert.equal(event('kvm_exit'), 5);
  exits(2);
  tracefs.hit('kvm/kvm_eoi', 'common_pid', [11], 3);
  change({ sets: ['exits', 'halt_poll'] });
  await tick();
  exits(10);
  assert.equal(event('kvm_exit'), 17);
  assert.equal(tracefs.triggers('kvm/kvm_eoi').length, 0);
});

test('a change of settings keeps perf’s counts', async (context) => {
  const { trace, perfs, tick, event, change } = setUp(context, { backend: 'perf' });
  await trace.start();
  perfs[0]?.listener.counted(perfs[0].events.map(() => 7));
  assert.equal(event('kvm_exit'), 7);
  change({ sets: ['exits', 'halt_poll'] });
  await tick();
  perfs[1]?.listener.counted(perfs[1].events.map(() => 1));
  assert.equal(event('kvm_exit'), 8);
});

test('if perf counts none of the sets, the problem names them', async (context) => {
  const { trace, problems } = setUp(context, { backend: 'perf', sets: ['block'] });
  await trace.start();
  assert.match(problems().join(), /perf counts none of the sets block/);
});

test('disabled sets have no counts', async (context) => {
  const { tracefs, trace, event, tick, change } = setUp(context);
  await trace.start();
  tracefs.hit('kvm/kvm_eoi', 'common_pid', [11], 3);
  assert.equal(event('kvm_eoi'), 3);
  change({ sets: ['exits'] });
  await tick();
  const reading = trace.read();
  assert.ok(!reading.of(WEB)?.events.has('kvm_eoi'));
  assert.equal(reading.of(WEB)?.eois, undefined);
  assert.deepEqual(
    reading.sets.map(({ set }) => set),
    ['exits'],
  );
  change({ backend: 'off' });
  await tick();
  assert.deepEqual(
    [trace.read().backend, trace.read().of(WEB), tracefs.instances()],
    [undefined, undefined, []],
  );
});

test('without a change of settings a tick writes nothing', async (context) => {
  const { tracefs, trace, tick } = setUp(context);
  await trace.start();
  const before = tracefs.written.length;
  await tick(120);
  assert.equal(tracefs.written.length, before);
});

test('the failure of a tick is reported until a tick succeeds', async (context) => {
  const { tracefs, trace, problems, tick, exits, event } = setUp(context);
  await trace.start();
  exits(5);
  assert.equal(event('kvm_exit'), 5);
  tracefs.deleteInstance(OWN);
  const end = tracefs.refuse(/^mkdir/, 'ENOMEM');
  await tick();
  assert.deepEqual(problems(), ['failed: ENOMEM']);
  end();
  await tick();
  exits(1);
  assert.deepEqual(problems(), []);
  assert.equal(event('kvm_exit'), 6);
});

test('reasons have the names of the kernel’s module, also if it is loaded later than this program', async (context) => {
  const { tracefs, trace, tick } = setUp(context, {}, { events: { 'kvm/kvm_exit': undefined } });
  tracefs.tree.remove('sys/module');
  await trace.start();
  assert.deepEqual([trace.read().isa, trace.read().names.size], ['vmx', 0]);
  tracefs.setEvent('kvm/kvm_exit', formatsOf('6.1').get('kvm/kvm_exit'));
  tracefs.tree.write('sys/module/kvm_amd/refcnt', '1\n');
  await tick(60);
  const { isa, names, problems } = trace.read();
  assert.deepEqual([isa, names.get(120), problems], ['svm', 'hlt', []]);
});

test('reasons keep their names while tracefs is not mounted', async (context) => {
  const { tracefs, trace, tick } = setUp(context);
  await trace.start();
  const before = trace.read().names;
  assert.ok(before.size > 0);
  const written = tracefs.written.length;
  tracefs.setEvent('kvm/kvm_exit', undefined);
  await tick(60);
  assert.deepEqual(trace.read().names, before);
  assert.equal(tracefs.written.length, written, 'nothing starts again');
});

test('a VM that has exited is forgotten, and a new thread is counted', async (context) => {
  const { trace, threads, exits, event } = setUp(context);
  await trace.start();
  exits(3, 13);
  assert.equal(event('kvm_exit'), 0);
  threads.set(WEB, [...(threads.get(WEB) ?? []), thread(13, 'vcpu', 'vcpu1')]);
  assert.equal(event('kvm_exit'), 3, 'including the events before it was known');
  assert.equal(
    trace
      .read()
      .of({ key: '20:1' } as Vm)
      ?.events.get('kvm_exit'),
    0,
  );
});

test('an MSI’s vector and destination come from its data and address, including x2APIC’s high bits', async (context) => {
  const { tracefs, trace } = setUp(context);
  await trace.start();
  const msi = (address: number, data: number) =>
    tracefs.hit('kvm/kvm_msi_set_irq', 'common_pid,address.hex,data.hex', [12, address, data], 3);
  msi(0xfee0_100c, 0x4023);
  msi(2 ** 40 + 0xfeea_b000, 0xfd);
  assert.deepEqual(trace.read().of(WEB)?.msi, [
    { vector: 0x23, destination: 1, count: 3 },
    { vector: 0xfd, destination: 0x1ab, count: 3 },
  ]);
});

test('the filter for VM threads has only threads on the I/O path', async (context) => {
  const { tracefs, trace } = setUp(context, { sets: ['sched'] });
  await trace.start();
  assert.match(tracefs.triggers('sched/sched_switch').join(), / if prev_pid == 11 \|\| prev_pid == 12$/);
});

test('overlapping starts, ticks and stops run one after the other', async (context) => {
  const { tracefs, trace } = setUp(context, { sets: ['exits', 'exit_duration'] });
  await Promise.all([trace.start(), trace.tick(), trace.tick(), trace.stop()]);
  assert.deepEqual([tracefs.instances(), tracefs.synthetic()], [[], []]);
  assert.deepEqual(trace.read().problems, []);
});
