import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKick } from '../../../exporter/model/io-path.ts';
import { stepsOf } from '../../../exporter/model/vm-trace.ts';
import { perfCounters, perfLimits, traceFromPerf } from '../../../exporter/trace/perf-events.ts';
import { MMIO_NOTIFY, TRACE_SET_NAMES } from '../../../exporter/trace/sets.ts';
import { simulatedTracefs } from '../../../testing/simulated-tracefs.ts';
import { KVM_EXIT_ARM64, KVM_EXIT_RISCV } from '../../../testing/tracepoint-formats.ts';

test('only events of this kernel are counted', (context) => {
  const { host } = simulatedTracefs(context, {
    events: { 'kvm/kvm_fast_mmio': undefined, 'kvm/kvm_pio': undefined },
  });
  const counters = perfCounters(host, 'svm', ['notifications', 'halt_poll']);
  assert.deepEqual(counters, [
    { name: 'kvm_mmio', event: 'kvm:kvm_mmio', filter: undefined },
    { name: 'kvm_mmio:notify', event: 'kvm:kvm_mmio', filter: `type == 2 && ${MMIO_NOTIFY}` },
    { name: 'kvm_mmio:short', event: 'kvm:kvm_mmio', filter: 'type == 2 && len == 2' },
    { name: 'kvm_userspace_exit', event: 'kvm:kvm_userspace_exit', filter: undefined },
    { name: 'kvm_userspace_exit:2', event: 'kvm:kvm_userspace_exit', filter: 'reason == 2' },
    { name: 'kvm_userspace_exit:6', event: 'kvm:kvm_userspace_exit', filter: 'reason == 6' },
    { name: 'kvm_halt_poll_ns', event: 'kvm:kvm_halt_poll_ns', filter: undefined },
  ]);
  assert.deepEqual(
    perfCounters(simulatedTracefs(context, { events: { 'kvm/kvm_halt_poll_ns': undefined } }).host, 'svm', [
      'halt_poll',
    ]),
    [],
  );
});

test('exits are counted in total and by the reasons of the I/O path', (context) => {
  const counters = perfCounters(simulatedTracefs(context).host, 'vmx', ['exits']);
  assert.deepEqual(counters[0], { name: 'kvm_exit', event: 'kvm:kvm_exit', filter: undefined });
  assert.ok(counters.some(({ name, filter }) => name === 'kvm_exit:12' && filter === 'exit_reason == 12'));
  assert.ok(counters.slice(1).every(({ event, filter }) => event === 'kvm:kvm_exit' && filter !== undefined));
  const names = counters.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  const arm = simulatedTracefs(context, { events: { 'kvm/kvm_exit': KVM_EXIT_ARM64 } });
  assert.deepEqual(
    perfCounters(arm.host, 'arm64', ['exits']).map(({ name }) => name),
    ['kvm_exit'],
  );
});

test('on RISC-V perf has neither reasons nor kicks, and says so', (context) => {
  const { host } = simulatedTracefs(context, {
    events: { 'kvm/kvm_exit': KVM_EXIT_RISCV, 'kvm/kvm_fast_mmio': undefined, 'kvm/kvm_pio': undefined },
  });
  const names = perfCounters(host, 'other', ['exits']).map(({ name }) => name);
  assert.deepEqual(names, ['kvm_exit']);
  const { events, exits, kickTotal } = traceFromPerf(
    new Map([
      ['kvm_exit', 9],
      ['kvm_mmio:notify', 0],
    ]),
    'other',
  );
  assert.deepEqual([events.get('kvm_exit'), exits, kickTotal], [9, undefined, undefined]);
  assert.match(perfLimits(['exits'], 'other').join(), /exits by reason are not available/);
});

test('the filter for kicks through ports agrees with isKick()', (context) => {
  const notify = perfCounters(simulatedTracefs(context).host, 'vmx', ['notifications']).find(
    ({ name }) => name === 'kvm_pio:notify',
  );
  const js = `return ${notify?.filter?.replace('port & 16', '(port & 16) !== 0')}`;
  const passes = new Function('port', 'rw', 'size', js) as (
    port: number,
    rw: number,
    size: number,
  ) => boolean;
  for (let port = 0; port < 0x10000; port++) {
    assert.equal(passes(port, 1, 2), isKick({ event: 'kvm_pio', address: port }), `${port}`);
  }
  assert.deepEqual([passes(0xc010, 0, 2), passes(0xc010, 1, 4)], [false, false]);
});

test('perf counts the 4-byte notifications of virtio-mmio (microvm, Firecracker) as kicks', () => {
  const counts = new Map([
    ['kvm_fast_mmio', 0],
    ['kvm_mmio', 900],
    ['kvm_mmio:notify', 700],
    ['kvm_userspace_exit', 20],
    ['kvm_userspace_exit:2', 3],
    ['kvm_userspace_exit:6', 4],
  ]);
  const trace = traceFromPerf(counts, 'vmx');
  assert.deepEqual([trace.kickTotal, trace.deviceExits], [700, 7]);
  assert.deepEqual([...trace.events.keys()], ['kvm_fast_mmio', 'kvm_mmio', 'kvm_userspace_exit']);
  counts.delete('kvm_userspace_exit');
  assert.equal(traceFromPerf(counts, 'vmx').deviceExits, undefined);
});

test('without a fast MMIO path on an Intel CPU the kicks are unknown, not none', () => {
  const counts = new Map([
    ['kvm_fast_mmio', 0],
    ['kvm_pio:notify', 7],
    ['kvm_mmio:short', 30],
    ['kvm_userspace_exit:6', 31],
  ]);
  assert.equal(
    traceFromPerf(counts, 'vmx').kickTotal,
    7,
    'user space may have served all of them: its firmware',
  );
  assert.equal(traceFromPerf(counts, 'svm').kickTotal, undefined);
  counts.set('kvm_mmio:short', 3000);
  assert.equal(traceFromPerf(counts, 'vmx').kickTotal, undefined);
  counts.set('kvm_fast_mmio', 1);
  assert.equal(traceFromPerf(counts, 'vmx').kickTotal, 8);
});

test('perf’s limits are reported', () => {
  assert.deepEqual(perfLimits(['exits', 'halt_poll'], 'vmx'), []);
  const [sets = '', ...others] = perfLimits(TRACE_SET_NAMES, 'svm');
  assert.equal(sets, 'perf does not count the sets block, exit_duration, block_duration, sched, lock');
  assert.match(others.join(), /no kvm_fast_mmio for this CPU.*kvm_msi_set_irq/);
  assert.match(perfLimits(['notifications'], 'vmx').join(), /by virtqueue/);
});

test('perf’s counts add up to all exits; reasons without a counter share one', () => {
  const counts = new Map([
    ...([
      ['kvm_exit', 100],
      ['kvm_exit:12', 40],
      ['kvm_exit:1', 10],
    ] as const),
    ...([
      ['kvm_fast_mmio', 20],
      ['kvm_pio', 9],
      ['kvm_pio:notify', 2],
      ['kvm_eoi', 12],
      ['kvm_pv_eoi', 5],
    ] as const),
  ]);
  const trace = traceFromPerf(counts, 'vmx');
  assert.deepEqual(
    trace.exits?.map(({ reason, count }) => [reason, count]),
    [
      [12, 40],
      [1, 10],
      [undefined, 50],
    ],
  );
  assert.deepEqual(
    [...trace.events.keys()],
    ['kvm_exit', 'kvm_fast_mmio', 'kvm_pio', 'kvm_eoi', 'kvm_pv_eoi'],
  );
  assert.deepEqual(
    [trace.kickTotal, trace.eois, trace.kicks, trace.blockRequests],
    [22, 7, undefined, undefined],
  );
  const stages = stepsOf(trace, 'vmx');
  assert.deepEqual(Object.fromEntries(stages), { kick: 22, inject: 10, halt: 40, eoi: 7, other: 21 });
});

test('without a fast MMIO path kicks are unknown, and so are all uncounted events', () => {
  const amd = traceFromPerf(
    new Map([
      ['kvm_exit', 5],
      ['kvm_fast_mmio', 0],
      ['kvm_mmio', 4],
    ]),
    'svm',
  );
  assert.equal(amd.kickTotal, undefined);
  assert.equal(stepsOf(amd, 'svm').has('kick'), false);
  const newer = traceFromPerf(new Map([['kvm_fast_mmio', 3]]), 'svm');
  assert.deepEqual([newer.kickTotal, newer.exits, newer.eois], [3, undefined, undefined]);
});
