import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Phases } from '../../../../exporter/assessment/stage/phases.ts';
import { StageWatch } from '../../../../exporter/assessment/stage/watch.ts';
import { TechniqueRecords } from '../../../../exporter/assessment/technique/records.ts';
import { TechniqueWatch } from '../../../../exporter/assessment/technique/watch.ts';
import type { VmAffinity } from '../../../../exporter/model/affinity-reading.ts';
import type { ObservedThread } from '../../../../exporter/model/observed.ts';
import type { Vm } from '../../../../exporter/model/vm.ts';
import type { VmStatistics } from '../../../../exporter/model/vm-statistics.ts';
import type { VmTrace } from '../../../../exporter/model/vm-trace.ts';
import type { Facts } from '../../../../exporter/sources/qmp/facts.ts';
import type { QemuDevices } from '../../../../probes/qemu-devices.ts';
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
const DEVICES = {
  storage: [{ id: 'vda', kind: 'virtio-blk', mapping: [], drives: [] }],
  nets: [],
  iothreads: [],
} as unknown as QemuDevices;
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
    devices: false,
  };
  const changes: string[] = [];
  const watch = new StageWatch({
    phases: new Phases(folder, quiet),
    techniques: new TechniqueWatch({
      records: new TechniqueRecords(folder, 'boot', quiet, true),
      epochMs: () => state.at,
      acceptedAt: () => undefined,
      onChange: () => undefined,
    }),
    vms: () => (state.devices ? state.vms.map((vm) => ({ ...vm, devices: DEVICES })) : state.vms),
    topology: () => state.topology,
    affinity: () => ({
      of: () =>
        state.threads === undefined
          ? undefined
          : ({ observed: observedVm(state.threads), drifts: [] as unknown } as VmAffinity),
      problems: [],
    }),
    lastOf: () => ({
      statistics: state.hasStatistics ? statistics() : undefined,
      facts: facts(),
      kernel: undefined,
    }),
    onPhase: ({ label }, from, to) => void changes.push(`${label} phase: ${from} -> ${to}`),
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
  const judge = async (times = 1): Promise<string | undefined> => {
    for (let i = 0; i < times; i++) {
      const trace =
        state.trace === undefined ? undefined : ({ events: new Map(), ...state.trace } as VmTrace);
      const moment = { trace, ios: state.ios, weight: state.weight, at: state.at, skewMs: 0 };
      await watch.judge(new Map(state.vms.map(({ key }) => [key, moment])));
      state.at += 10_000;
    }
    return state.vms[0] === undefined ? undefined : watch.of(state.vms[0])?.detected;
  };
  return { state, changes, watch, judge, folder, cli: () => new Phases(folder, quiet) };
}

test('a change of stage is counted; a stage that becomes known is no change', async (context) => {
  const { state, judge, watch } = setUp(context);
  const [vm] = state.vms as [Vm];
  const kick = { event: 'kvm_fast_mmio', address: 0x1000, thread: 'vcpu0' } as const;
  Object.assign(state, { ios: 0, trace: { kickTotal: 0, kicks: [{ ...kick, count: 0 }] } });
  const work = async (): Promise<void> => {
    const count = (state.ios ?? 0) + 20_000;
    Object.assign(state, { ios: count, trace: { kickTotal: count, kicks: [{ ...kick, count }] } });
    await judge();
  };
  await judge();
  for (let i = 0; i < 4; i++) await work();
  assert.deepEqual([watch.of(vm)?.label, watch.of(vm)?.stageChanges], [undefined, 0]);
  state.pci = [
    { name: 'vda', isVirtioStorage: true, regions: [{ isPort: false, address: 0x1000, size: 0x1000 }] },
  ];
  state.devices = true;
  for (let i = 0; i < 4; i++) await work();
  assert.deepEqual([watch.of(vm)?.label, watch.of(vm)?.stageChanges], ['original', 0]);
  state.threads = PINNED;
  for (let i = 0; i < 4; i++) await work();
  assert.deepEqual([watch.of(vm)?.label, watch.of(vm)?.stageChanges], ['affinity', 1]);
});

test('a queue is named after the device with its window, else after its page', async (context) => {
  const { state, judge, watch } = setUp(context);
  state.queues = 3;
  state.pci = [
    {
      name: 'vda',
      isVirtioStorage: true,
      regions: [
        { isPort: true, address: 0xc000, size: 0x80 },
        { isPort: false, address: 0xfebf_b000, size: 0x4000 },
      ],
    },
    { name: 'vdb', isVirtioStorage: true, regions: [{ isPort: false, address: 0xfebf_f000, size: 0x1000 }] },
  ];
  const [vm] = state.vms as [Vm];
  assert.equal(watch.deviceAt(vm, 0xfebf_efff, false), 'vda');
  assert.equal(watch.deviceAt(vm, 0xfebf_f000, false), 'vdb');
  assert.equal(watch.deviceAt(vm, 0xfec0_0000, false), undefined);
  assert.equal(watch.deviceAt(vm, 0xc010, true), 'vda');
  assert.equal(watch.deviceAt(vm, 0xc010, false), undefined);
  state.trace = { kicks: [] };
  await judge();
  state.trace = {
    kicks: [
      { event: 'kvm_fast_mmio', address: 0xfebf_e000, thread: 'vcpu0', count: 30 },
      { event: 'kvm_fast_mmio', address: 0xfebf_e004, thread: 'vcpu1', count: 10 },
      { event: 'kvm_pio', address: 0xc010, thread: 'vcpu1', count: 10 },
      { event: 'kvm_pio', address: 0xd010, thread: 'vcpu1', count: 10 },
      { event: 'kvm_mmio', address: 0x12_3456, thread: 'vcpu1', count: 0 },
    ],
  };
  await judge();
  const devices = watch.of(vm)?.devices ?? [];
  assert.deepEqual(
    devices.map(({ device, locality }) => `${device} ${locality}`),
    ['vda 1', '0xd010 1', '0x123000 undefined'],
  );
  // 30 and 10 kicks on two of three queues; the port is that of all of them.
  assert.equal(devices[0]?.fairness?.toFixed(3), ((40 * 40) / (3 * (900 + 100))).toFixed(3));
  assert.equal(devices[2]?.fairness, undefined);
});

test("fairness does not depend on the monitor's last statistics", async (context) => {
  const { state, judge, watch } = setUp(context);
  const [vm] = state.vms as [Vm];
  state.queues = 4;
  state.hasStatistics = false;
  state.pci = [
    { name: 'vda', isVirtioStorage: true, regions: [{ isPort: false, address: 0x1000, size: 0x1000 }] },
    { name: 'vdb', isVirtioStorage: true, regions: [{ isPort: false, address: 0x2000, size: 0x1000 }] },
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
    await judge();
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
  await judge();
  assert.deepEqual(fairness(), ['vda 0.25', 'vdb 0.5'], 'the command line knows the other disk');
});

test('a declared phase is shown, declares the stage in its name, and is reported and counted once', async (context) => {
  const { state, changes, watch, judge, cli } = setUp(context);
  const [vm] = state.vms as [Vm];
  await judge();
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
    await judge(2);
    assert.deepEqual([watch.of(vm)?.phase, watch.of(vm)?.declared], [phase, declared]);
  }
  await cli().clear('web');
  await judge(2);
  assert.equal(watch.of(vm)?.phase, undefined);
  assert.equal(changes[0], 'web phase: undefined -> exitless-polling v2');
  assert.equal(changes.at(-1), 'web phase: 42 -> undefined');
  assert.deepEqual([changes.length, watch.of(vm)?.phaseChanges], [9, 9]);
});

test('a phase that was declared before the daemon found the VM is no change', async (context) => {
  const { state, changes, watch, judge, cli } = setUp(context);
  await cli().set(UUID, 'x', new Date());
  await judge(2);
  assert.deepEqual([watch.of(state.vms[0] as Vm)?.phase, changes], ['x', []]);
});

test('a VM is not assessed before its threads were read, nor without a topology', async (context) => {
  const { state, watch, judge } = setUp(context);
  state.threads = undefined;
  assert.equal(await judge(2), undefined);
  state.threads = PINNED;
  state.topology = undefined;
  assert.equal(await judge(2), undefined);
  state.topology = topologyOf(1, 8, 1);
  await judge();
  assert.equal(watch.of(state.vms[0] as Vm)?.verdicts.affinity.state, 'in_force');
  const [vm] = state.vms as [Vm];
  state.vms = [];
  await judge();
  assert.equal(watch.of(vm), undefined);
});

test('the features are those of the threads, the disks and the monitor', async (context) => {
  const { state, watch, judge } = setUp(context);
  Object.assign(state, { threads: PINNED, polls: true, queues: 2 });
  await judge();
  const { features } = watch.of(state.vms[0] as Vm) ?? {};
  assert.deepEqual(
    ['vcpus_pinned', 'iothread_polling', 'multiqueue', 'queue_per_vcpu'].map((each) =>
      features?.get(each as 'vhost'),
    ),
    [1, 1, 1, 0],
  );
});
