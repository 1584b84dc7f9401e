import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Phases } from '../../../../exporter/assessment/stage/phases.ts';
import { StageWatch } from '../../../../exporter/assessment/stage/watch.ts';
import type { VmAffinity } from '../../../../exporter/model/affinity-reading.ts';
import type { ObservedThread } from '../../../../exporter/model/observed.ts';
import type { Vm } from '../../../../exporter/model/vm.ts';
import type { VmStatistics } from '../../../../exporter/model/vm-statistics.ts';
import type { KickCount, VmTrace } from '../../../../exporter/model/vm-trace.ts';
import type { Facts } from '../../../../exporter/sources/qmp/facts.ts';
import type { QmpPciDevice } from '../../../../probes/qmp-pci.ts';
import type { CpuTopology } from '../../../../probes/sys-cpu.ts';
import { vmOf } from '../../../../testing/affinity-host.ts';
import { temporaryFolder } from '../../../../testing/folder.ts';
import { vmOf as observedVm, thread, topologyOf } from '../../../../testing/observed-vms.ts';

const UUID = '8f1c0c6c-9a43-4a3e-8d3f-0a8c9f6e0f10';
const ALL = [0, 1, 2, 3, 4, 5, 6, 7];
const PINNED = [
  thread('vcpu0', [0]),
  thread('vcpu1', [1]),
  thread('vcpu2', [2]),
  thread('iothread:io0', [3]),
];
const ROAMING = PINNED.map((each) => ({ ...each, allowed: ALL, allowedList: '0-7' }));

/** One VM whose threads, disks and counters are set by hand. */
function setUp(context: TestContext) {
  const folder = temporaryFolder(context);
  const quiet = { info: () => undefined, warn: () => undefined };
  const state = {
    at: 0,
    vms: [vmOf({ uuid: UUID, label: 'web' })],
    topology: topologyOf(1, 8, 1) as CpuTopology | undefined,
    threads: ROAMING as readonly ObservedThread[] | undefined,
    weight: 1,
    polls: false,
    queues: 1,
    /** Whether the monitor has answered since the VM was found; its facts are from before. */
    hasStatistics: true,
    dedicated: false,
    ios: undefined as number | undefined,
    trace: undefined as Partial<VmTrace> | undefined,
    pci: [] as QmpPciDevice[],
  };
  const changes: string[] = [];
  const watch = new StageWatch({
    phases: new Phases(folder, quiet),
    vms: () => state.vms,
    topology: () => state.topology,
    affinity: () => ({
      of: () =>
        state.threads === undefined ? undefined : ({ observed: observedVm(state.threads) } as VmAffinity),
      problems: [],
    }),
    lastOf: () => ({ statistics: state.hasStatistics ? statistics() : undefined, facts: facts() }),
    onChange: ({ label }, what, from, to) => void changes.push(`${label} ${what}: ${from} -> ${to}`),
  });
  function facts(): Facts {
    const ofDisk = { queues: state.queues, hasIothread: true, iothread: 'io0', mapping: [] };
    const queues = new Map([['/machine/peripheral/vda', ofDisk]]);
    return { pci: state.pci, blocks: [], queues } as unknown as Facts;
  }
  function statistics(): VmStatistics {
    const none = { operations: 0 };
    const disk = {
      name: 'vda',
      queues: state.queues,
      iothreads: state.dedicated ? ['io0'] : [],
      read: { operations: state.ios ?? 0 },
      write: none,
    };
    const pollMaxSeconds = state.polls ? 32e-6 : 0;
    return { disks: [disk], iothreads: [{ id: 'io0', pollMaxSeconds }] } as unknown as VmStatistics;
  }
  /** Ten seconds later. */
  const judge = (times = 1): string | undefined => {
    for (let i = 0; i < times; i++) {
      const trace =
        state.trace === undefined ? undefined : ({ events: new Map(), ...state.trace } as VmTrace);
      watch.judge(
        new Map(
          state.vms.map(({ key }) => [key, { trace, ios: state.ios, weight: state.weight, at: state.at }]),
        ),
      );
      state.at += 10_000;
    }
    return state.vms[0] === undefined ? undefined : watch.of(state.vms[0])?.detected;
  };
  return { state, changes, watch, judge, folder, cli: () => new Phases(folder, quiet) };
}

test('the stage follows when features change one after another, up the ladder and down again', (context) => {
  const { state, changes, judge, watch } = setUp(context);
  assert.equal(judge(), 'original');
  const steps: [Partial<typeof state>, string][] = [
    [{ threads: PINNED }, 'affinity'],
    [{ polls: true }, 'exitless_polling'],
    [{ queues: 2, dedicated: true }, 'parallel_batching'],
    [{ queues: 3 }, 'pinned_queues'],
    [{ threads: ROAMING }, 'original'],
  ];
  for (const [change, stage] of steps) {
    const before = watch.of(state.vms[0] as Vm)?.detected;
    Object.assign(state, change);
    assert.equal(judge(), before, 'one judgement is not enough');
    assert.equal(judge(), stage);
    assert.equal(judge(3), stage);
  }
  assert.deepEqual(changes, [
    'web stage: original -> affinity',
    'web stage: affinity -> exitless_polling',
    'web stage: exitless_polling -> parallel_batching',
    'web stage: parallel_batching -> pinned_queues',
    'web stage: pinned_queues -> original',
  ]);
  assert.equal(watch.of(state.vms[0] as Vm)?.stageChanges, 5);
});

test('a stage that is there for one judgement only is none', (context) => {
  const { state, changes, judge } = setUp(context);
  judge();
  for (let i = 0; i < 4; i++) {
    state.threads = PINNED;
    judge();
    state.threads = ROAMING;
    assert.equal(judge(), 'original');
  }
  assert.deepEqual(changes, []);
});

test('measured exits keep polling down, once there are enough I/Os', (context) => {
  const { state, judge } = setUp(context);
  Object.assign(state, { threads: PINNED, polls: true, ios: 0, trace: { kickTotal: 0 } });
  assert.equal(judge(), 'exitless_polling');
  const run = (ios: number, kicks: number): string | undefined => {
    state.ios = (state.ios ?? 0) + ios;
    state.trace = { kickTotal: (state.trace?.kickTotal ?? 0) + kicks };
    state.at += 60_000;
    return judge(2);
  };
  assert.equal(run(99, 99), 'exitless_polling');
  assert.equal(run(1000, 900), 'affinity');
  assert.equal(run(1000, 100), 'exitless_polling');
});

test('what is measured for the first time corrects a stage, and is no change of it', (context) => {
  const { state, changes, judge, watch } = setUp(context);
  Object.assign(state, { threads: PINNED, polls: true, ios: 0, trace: { kickTotal: 0 } });
  assert.equal(judge(), 'exitless_polling');
  Object.assign(state, { ios: 1000, trace: { kickTotal: 1000 } });
  assert.equal(judge(), 'affinity');
  assert.deepEqual([changes, watch.of(state.vms[0] as Vm)?.stageChanges], [[], 0]);
});

test('a VM that goes idle keeps the verdict that was measured', (context) => {
  const { state, judge } = setUp(context);
  Object.assign(state, { threads: PINNED, polls: true, ios: 0, trace: { kickTotal: 0 } });
  judge();
  Object.assign(state, { ios: 1000, trace: { kickTotal: 1000 } });
  assert.equal(judge(2), 'affinity');
  // Ten minutes with some I/Os of its own housekeeping, without a kick.
  for (let i = 0; i < 60; i++) {
    state.ios = (state.ios ?? 0) + 10;
    assert.equal(judge(), 'affinity');
  }
  state.threads = ROAMING;
  assert.equal(judge(2), 'original', 'a pin that is lost shows all the same');
});

test('kicks that may be among the exits to user space are not known, and no sign of polling', (context) => {
  const { state, judge } = setUp(context);
  Object.assign(state, { threads: PINNED, polls: true, ios: 0, trace: { kickTotal: 0, deviceExits: 0 } });
  judge();
  const run = (kicks: number, deviceExits: number): string | undefined => {
    state.ios = (state.ios ?? 0) + 1000;
    state.trace = {
      kickTotal: (state.trace?.kickTotal ?? 0) + kicks,
      deviceExits: (state.trace?.deviceExits ?? 0) + deviceExits,
    };
    state.at += 60_000;
    return judge(2);
  };
  assert.equal(run(1000, 0), 'affinity');
  assert.equal(run(0, 1000), 'affinity', 'ioeventfd was switched off');
  assert.equal(run(10, 20), 'exitless_polling');
  assert.equal(run(0, 1000), 'exitless_polling', 'a guest that writes to its console');
});

test('injections and locality are measured as well', (context) => {
  const { state, judge, watch } = setUp(context);
  const kicks = (queue: number, vcpu: number, count: number): KickCount => ({
    event: 'kvm_fast_mmio',
    address: queue,
    thread: `vcpu${vcpu}`,
    count,
  });
  Object.assign(state, { threads: PINNED, polls: true, queues: 3, dedicated: true, ios: 0 });
  state.trace = { kickTotal: 0, kicks: [] };
  assert.equal(judge(), 'pinned_queues');
  state.ios = 1000;
  state.trace = { kickTotal: 100, kicks: [kicks(0x1000, 0, 50), kicks(0x1000, 1, 50)] };
  assert.equal(judge(2), 'parallel_batching');
  assert.deepEqual(watch.of(state.vms[0] as Vm)?.devices, [
    // Nobody says how many queues it has.
    { device: '0x1000', locality: 0.5, fairness: undefined },
  ]);
  state.trace = { kickTotal: 100, events: new Map([['kvm_msi_set_irq', 0]]) };
  judge();
  state.at += 60_000;
  state.ios = 2000;
  state.trace = { kickTotal: 200, events: new Map([['kvm_msi_set_irq', 900]]) };
  judge();
  assert.equal(judge(), 'affinity');
});

test('a queue is named after the device whose window it is in, else after its page', (context) => {
  const { state, judge, watch } = setUp(context);
  state.queues = 3;
  state.pci = [
    {
      name: 'vda',
      regions: [
        { isPort: true, address: 0xc000, size: 0x80 },
        { isPort: false, address: 0xfebf_b000, size: 0x4000 },
      ],
    },
    { name: 'vdb', regions: [{ isPort: false, address: 0xfebf_f000, size: 0x1000 }] },
  ];
  const [vm] = state.vms as [Vm];
  assert.equal(watch.deviceAt(vm, 0xfebf_efff, false), 'vda');
  assert.equal(watch.deviceAt(vm, 0xfebf_f000, false), 'vdb');
  assert.equal(watch.deviceAt(vm, 0xfec0_0000, false), undefined);
  assert.equal(watch.deviceAt(vm, 0xc010, true), 'vda');
  assert.equal(watch.deviceAt(vm, 0xc010, false), undefined);
  state.trace = { kicks: [] };
  judge();
  state.trace = {
    kicks: [
      { event: 'kvm_fast_mmio', address: 0xfebf_e000, thread: 'vcpu0', count: 30 },
      { event: 'kvm_fast_mmio', address: 0xfebf_e004, thread: 'vcpu1', count: 10 },
      { event: 'kvm_pio', address: 0xc010, thread: 'vcpu1', count: 10 },
      { event: 'kvm_pio', address: 0xd010, thread: 'vcpu1', count: 10 },
      { event: 'kvm_mmio', address: 0x12_3456, thread: 'vcpu1', count: 0 },
    ],
  };
  judge();
  const devices = watch.of(vm)?.devices ?? [];
  assert.deepEqual(
    devices.map(({ device, locality }) => `${device} ${locality}`),
    ['vda 1', '0xd010 1', '0x123000 undefined'],
  );
  // 30 and 10 kicks on two of three queues; the port is that of all of them.
  assert.equal(devices[0]?.fairness?.toFixed(3), ((40 * 40) / (3 * (900 + 100))).toFixed(3));
  assert.equal(devices[2]?.fairness, undefined);
});

test("fairness does not depend on the monitor's last statistics", (context) => {
  const { state, judge, watch } = setUp(context);
  const [vm] = state.vms as [Vm];
  state.queues = 4;
  state.hasStatistics = false;
  state.pci = [
    { name: 'vda', regions: [{ isPort: false, address: 0x1000, size: 0x1000 }] },
    { name: 'vdb', regions: [{ isPort: false, address: 0x2000, size: 0x1000 }] },
  ];
  const kick = { event: 'kvm_fast_mmio', thread: 'vcpu0', count: 30 } as const;
  const traces: VmTrace['kicks'][] = [
    [],
    [
      { ...kick, address: 0x1000 },
      { ...kick, address: 0x2000 },
    ],
  ];
  for (const kicks of traces) {
    state.trace = { kicks };
    judge();
  }
  const fairness = () => watch.of(vm)?.devices.map((each) => `${each.device} ${each.fairness}`);
  assert.deepEqual(fairness(), ['vda 0.25', 'vdb undefined']);
  const storage = [
    { id: 'vda', queues: 9, drives: [], mapping: [] },
    { id: 'vdb', queues: 2, drives: [], mapping: [] },
  ];
  state.vms = [
    { ...vm, devices: { storage, nets: [], iothreads: [] } as unknown as NonNullable<Vm['devices']> },
  ];
  judge();
  assert.deepEqual(fairness(), ['vda 0.25', 'vdb 0.5'], 'the command line knows the other disk');
});

test('a declared phase shows, declares the stage that it begins with, and is reported and counted once', async (context) => {
  const { state, changes, watch, judge, cli } = setUp(context);
  const [vm] = state.vms as [Vm];
  judge();
  assert.deepEqual([watch.of(vm)?.phase, watch.of(vm)?.declared], [undefined, undefined]);
  const phases: [string, string | undefined][] = [
    ['exitless-polling v2', 'exitless_polling'],
    ['Pinned Queues', 'pinned_queues'],
    ['affinity', 'affinity'],
    ['affinity2', 'affinity'],
    ['affinityless', undefined],
    ['my exitless-polling', undefined],
    ['original', 'original'],
    ['42', undefined],
  ];
  for (const [phase, declared] of phases) {
    await cli().set('web', phase, new Date());
    judge(2);
    assert.deepEqual([watch.of(vm)?.phase, watch.of(vm)?.declared], [phase, declared]);
    assert.equal(watch.of(vm)?.detected, 'original');
  }
  await cli().clear('web');
  judge(2);
  assert.equal(watch.of(vm)?.phase, undefined);
  assert.equal(changes[0], 'web phase: undefined -> exitless-polling v2');
  assert.equal(changes.at(-1), 'web phase: 42 -> undefined');
  assert.deepEqual([changes.length, watch.of(vm)?.phaseChanges], [9, 9]);
});

test('a phase that was declared before the daemon met the VM is no change', async (context) => {
  const { state, changes, watch, judge, cli } = setUp(context);
  await cli().set(UUID, 'x', new Date());
  judge(2);
  assert.deepEqual([watch.of(state.vms[0] as Vm)?.phase, changes], ['x', []]);
});

test('a VM is not assessed before its threads were read, nor without a topology', (context) => {
  const { state, watch, judge } = setUp(context);
  state.threads = undefined;
  assert.equal(judge(2), undefined);
  state.threads = PINNED;
  state.topology = undefined;
  assert.equal(judge(2), undefined);
  state.topology = topologyOf(1, 8, 1);
  assert.equal(judge(), 'affinity');
  const [vm] = state.vms as [Vm];
  state.vms = [];
  judge();
  assert.equal(watch.of(vm), undefined);
});

test('the features are those of the threads, the disks and the monitor', (context) => {
  const { state, watch, judge } = setUp(context);
  Object.assign(state, { threads: PINNED, polls: true, queues: 2 });
  judge();
  const { features } = watch.of(state.vms[0] as Vm) ?? {};
  assert.deepEqual(
    ['vcpus_pinned', 'iothread_polling', 'multiqueue', 'queue_per_vcpu'].map((each) =>
      features?.get(each as 'vhost'),
    ),
    [1, 1, 1, 0],
  );
});
