import type { TechniqueState } from '../exporter/metrics/techniques.ts';
import type { ScriptedVm, Situation } from './scripted-vm.ts';

/** States of affinity, exitless polling, parallel batching and queue pinning. */
type States = readonly [TechniqueState, TechniqueState, TechniqueState, TechniqueState];

export interface Row {
  /** The configuration of the VM and its work. */
  readonly what: string;
  readonly first: Partial<Situation>;
  /** The change after twenty minutes. */
  readonly change?: (vm: ScriptedVm) => void | Promise<void>;
  readonly is: States;
  /** The paper's stage, else in words. */
  readonly stage: string;
}

function set(now: Situation, more: Partial<Situation>): void {
  Object.assign(now, more);
}

async function losePolling(vm: ScriptedVm): Promise<void> {
  Object.assign(vm.now, { kicksPerIo: 1, interruptsPerIo: 1 });
  for (let i = 0; i < 10; i++) await vm.step();
}

async function pauseThenSlow(vm: ScriptedVm): Promise<void> {
  for (const iops of [0, 100_000]) {
    set(vm.now, { iops });
    for (let i = 0; i < 6; i++) await vm.step();
  }
  set(vm.now, { iops: 20_000, kicksPerIo: 0.9 });
}

const PINNED = { pins: 'all' } as const;
const POLLING = { ...PINNED, pollMaxNs: 32_768, kicksPerIo: 0.05, interruptsPerIo: 0.03 } as const;
const BATCHING = { ...POLLING, queues: 3, iothreads: 3, kicksPerIo: 0.02, interruptsPerIo: 0.01 } as const;
const ALL_FOUR = { ...BATCHING, queues: 4, uses: 'own', kicksPerIo: 0.01 } as const;

/** The four configurations that issue 16 begins with: each had a false verdict. */
const FALSE_BEFORE: readonly Row[] = [
  {
    what: 'all four in force; vcpu0 loses its pin',
    first: ALL_FOUR,
    change: ({ now }) => set(now, { pins: 'vcpu0 lost' }),
    is: ['lost', 'in_force', 'in_force', 'in_force'],
    stage: 'polling, batching, queue pinning',
  },
  {
    what: 'declared as `pinned queues`, with 1 kick and 1 interrupt per I/O',
    first: { ...PINNED, pollMaxNs: 32_768 },
    change: (vm) => vm.declare('pinned queues'),
    is: ['in_force', 'off', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'stock QEMU, pinned, one queue, four I/Os per kick, nothing polls',
    first: { ...PINNED, kicksPerIo: 0.25, interruptsPerIo: 0.25 },
    is: ['in_force', 'off', 'in_force', 'off'],
    stage: 'affinity, batching',
  },
  {
    what: 'one kick per I/O under a poller, then idle',
    first: { ...PINNED, pollMaxNs: 32_768 },
    change: ({ now }) => set(now, { iops: 0 }),
    is: ['in_force', 'off', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'not pinned, 25 moves per second, masks with all CPUs',
    first: {},
    is: ['off', 'off', 'off', 'off'],
    stage: 'original',
  },
];

/** The paper's configurations. */
const LADDER: readonly Row[] = [
  { what: 'original of the paper', first: {}, is: ['off', 'off', 'off', 'off'], stage: 'original' },
  { what: 'affinity of the paper', first: PINNED, is: ['in_force', 'off', 'off', 'off'], stage: 'affinity' },
  {
    what: 'exitless polling of the paper',
    first: POLLING,
    is: ['in_force', 'in_force', 'off', 'off'],
    stage: 'exitless_polling',
  },
  {
    what: 'parallel batching of the paper, round robin over three queues',
    first: BATCHING,
    is: ['in_force', 'in_force', 'in_force', 'off'],
    stage: 'parallel_batching',
  },
  {
    what: 'pinned queues of the paper',
    first: ALL_FOUR,
    is: ['in_force', 'in_force', 'in_force', 'in_force'],
    stage: 'pinned_queues',
  },
];

const AFFINITY: readonly Row[] = [
  {
    what: 'vCPUs pinned, IOThreads not',
    first: { pins: 'vcpus' },
    is: ['partly', 'off', 'off', 'off'],
    stage: 'affinity partly',
  },
  {
    what: 'pinned, but the IOThread is on the CPU of a vCPU',
    first: { pins: 'io on vcpus' },
    is: ['partly', 'off', 'off', 'off'],
    stage: 'affinity partly',
  },
  {
    what: 'the IOThread moves to the other node',
    first: { ...PINNED, nodes: 2 },
    change: ({ now }) => set(now, { pins: 'io on other node' }),
    is: ['lost', 'off', 'off', 'off'],
    stage: 'original',
  },
  {
    what: 'vcpu0 is moved to one other CPU',
    first: PINNED,
    change: ({ now }) => set(now, { pins: 'moved' }),
    is: ['lost', 'off', 'off', 'off'],
    stage: 'original',
  },
  {
    what: 'all pins are removed while it is idle',
    first: { ...PINNED, iops: 0, sqpoll: false },
    change: ({ now }) => set(now, { pins: 'none' }),
    is: ['lost', 'off', 'unknown', 'off'],
    stage: 'nothing in force; affinity lost; batching unknown',
  },
  {
    what: 'the pins come back',
    first: { ...PINNED, pins: 'none' },
    change: ({ now }) => set(now, { pins: 'all' }),
    is: ['in_force', 'off', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'CPUs 64-127 are isolated, the masks are 0-63',
    first: { isolated: true },
    is: ['off', 'off', 'off', 'off'],
    stage: 'original',
  },
  {
    what: 'its cgroup is hidden and all masks are the same',
    first: { cgroup: 'hidden', isolated: true },
    is: ['unknown', 'off', 'off', 'off'],
    stage: 'nothing in force; affinity unknown',
  },
];

const POLLERS: readonly Row[] = [
  {
    what: 'polling, then 1 kick and 1 interrupt per I/O',
    first: POLLING,
    change: ({ now }) => set(now, { kicksPerIo: 1, interruptsPerIo: 1 }),
    is: ['in_force', 'lost', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'polling, then poll-max-ns 0: three I/Os per kick by event index',
    first: POLLING,
    change: ({ now }) => set(now, { pollMaxNs: 0, kicksPerIo: 0.33 }),
    is: ['in_force', 'lost', 'in_force', 'off'],
    stage: 'affinity, batching',
  },
  {
    what: 'polling, then poll-max-ns 0 while it is idle',
    first: POLLING,
    change: ({ now }) => set(now, { pollMaxNs: 0, iops: 0 }),
    is: ['in_force', 'lost', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'polling without kicks, but one interrupt per I/O',
    first: { ...POLLING, interruptsPerIo: 1 },
    is: ['in_force', 'partly', 'off', 'off'],
    stage: 'affinity, polling partly',
  },
  {
    what: 'polling, then one interrupt per I/O: the guest no longer polls',
    first: POLLING,
    change: ({ now }) => set(now, { interruptsPerIo: 1 }),
    is: ['in_force', 'lost', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'polling without pins',
    first: { ...POLLING, pins: 'none' },
    is: ['off', 'in_force', 'off', 'off'],
    stage: 'polling',
  },
  {
    what: 'an SQPOLL thread polls',
    first: { ...POLLING, pollMaxNs: 0, sqpoll: true },
    is: ['in_force', 'in_force', 'off', 'off'],
    stage: 'exitless_polling',
  },
  {
    what: 'a patch polls: declared as `exitless polling v2`, poll-max-ns is 0',
    first: { ...POLLING, pollMaxNs: 0, phase: 'declared' },
    change: (vm) => vm.declare('exitless polling v2'),
    is: ['in_force', 'in_force', 'off', 'off'],
    stage: 'exitless_polling',
  },
  {
    what: 'polling, then 200 I/Os per second with one kick each: the poller sleeps',
    first: POLLING,
    change: ({ now }) => set(now, { iops: 200, kicksPerIo: 1, interruptsPerIo: 1 }),
    is: ['in_force', 'in_force', 'off', 'off'],
    stage: 'exitless_polling',
  },
  {
    what: 'polling at 100,000 I/Os per second, then 20,000 with 0.9 kicks each: an I/O arrives less often than poll-max-ns',
    first: { ...POLLING, iops: 100_000 },
    change: ({ now }) => set(now, { iops: 20_000, kicksPerIo: 0.9 }),
    is: ['in_force', 'in_force', 'off', 'off'],
    stage: 'exitless_polling',
  },
  {
    what: 'the same after pauses of a minute: a mean over a pause is not the rate at which it polled',
    first: { ...POLLING, iops: 100_000 },
    change: pauseThenSlow,
    is: ['in_force', 'in_force', 'off', 'off'],
    stage: 'exitless_polling',
  },
  {
    what: 'the same, but poll-max-ns is a millisecond: the poller would be awake',
    first: { ...POLLING, pollMaxNs: 1_000_000, iops: 100_000 },
    change: ({ now }) => set(now, { iops: 20_000, kicksPerIo: 0.9 }),
    is: ['in_force', 'lost', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'polling at 20,000 I/Os per second, then 0.9 kicks each at the same rate',
    first: POLLING,
    change: ({ now }) => set(now, { kicksPerIo: 0.9 }),
    is: ['in_force', 'lost', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'the same, and the daemon was restarted in between',
    first: POLLING,
    change: (vm) => {
      vm.restart();
      set(vm.now, { kicksPerIo: 0.9 });
    },
    is: ['in_force', 'lost', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'a poller, 20,000 I/Os per second, one kick each from the start',
    first: { ...PINNED, pollMaxNs: 32_768 },
    is: ['in_force', 'off', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'a poller, never more than 200 I/Os per second, one kick each',
    first: { ...PINNED, pollMaxNs: 32_768, iops: 200 },
    is: ['in_force', 'unknown', 'off', 'off'],
    stage: 'affinity; polling unknown',
  },
  {
    what: 'a poller and no I/O since the start',
    first: { ...PINNED, pollMaxNs: 32_768, iops: 0 },
    is: ['in_force', 'unknown', 'off', 'off'],
    stage: 'affinity; polling unknown',
  },
  {
    what: 'polling, then ioeventfd is off: each I/O exits to user space',
    first: POLLING,
    change: ({ now }) => set(now, { kicksPerIo: 0, deviceExitsPerIo: 1 }),
    is: ['in_force', 'in_force', 'off', 'off'],
    stage: 'exitless_polling',
  },
  {
    what: 'ioeventfd is off from the start',
    first: { ...PINNED, pollMaxNs: 32_768, kicksPerIo: 0, deviceExitsPerIo: 1 },
    is: ['in_force', 'unknown', 'off', 'off'],
    stage: 'affinity; polling unknown',
  },
  {
    what: '0.5 kicks per I/O: at the threshold',
    first: { ...POLLING, kicksPerIo: 0.5 },
    is: ['in_force', 'unknown', 'off', 'off'],
    stage: 'affinity; polling unknown',
  },
  {
    what: 'polling, then 0.5 kicks and 1 interrupt per I/O: the interrupts are enough',
    first: POLLING,
    change: ({ now }) => set(now, { kicksPerIo: 0.5, interruptsPerIo: 1 }),
    is: ['in_force', 'lost', 'off', 'off'],
    stage: 'affinity',
  },
];

const BATCHES: readonly Row[] = [
  {
    what: '16 I/Os per kick, nothing polls, not pinned',
    first: { kicksPerIo: 1 / 16, interruptsPerIo: 1 / 16 },
    is: ['off', 'off', 'in_force', 'off'],
    stage: 'batching',
  },
  {
    what: '16 I/Os per kick, then 1, still busy',
    first: { kicksPerIo: 1 / 16 },
    change: ({ now }) => set(now, { kicksPerIo: 1 }),
    is: ['off', 'off', 'lost', 'off'],
    stage: 'original',
  },
  {
    what: '16 I/Os per kick, then 200 I/Os per second with one kick each: little to batch',
    first: { kicksPerIo: 1 / 16 },
    change: ({ now }) => set(now, { kicksPerIo: 1, iops: 200 }),
    is: ['off', 'off', 'in_force', 'off'],
    stage: 'batching',
  },
  {
    what: 'all four in force at 100,000 I/Os per second, then 20,000 with 0.9 kicks each: the pollers sleep',
    first: { ...ALL_FOUR, iops: 100_000 },
    change: ({ now }) => set(now, { iops: 20_000, kicksPerIo: 0.9 }),
    is: ['in_force', 'in_force', 'in_force', 'in_force'],
    stage: 'pinned_queues',
  },
  {
    what: 'three queues and a poller, but the guest uses one queue',
    first: { ...BATCHING, uses: 'one queue' },
    is: ['in_force', 'in_force', 'partly', 'off'],
    stage: 'affinity, polling, batching partly',
  },
];

const QUEUES: readonly Row[] = [
  {
    what: 'a queue per vCPU, round robin',
    first: { ...ALL_FOUR, uses: 'robin' },
    is: ['in_force', 'in_force', 'in_force', 'off'],
    stage: 'parallel_batching',
  },
  {
    what: 'pinned queues, then all vCPUs use the first queue',
    first: ALL_FOUR,
    change: ({ now }) => set(now, { uses: 'one queue' }),
    is: ['in_force', 'in_force', 'lost', 'lost'],
    stage: 'exitless_polling',
  },
  {
    what: 'a queue per vCPU, but one vCPU does all I/O',
    first: { queues: 4, uses: 'one vcpu' },
    is: ['off', 'off', 'off', 'unknown'],
    stage: 'nothing in force; queue pinning unknown',
  },
  {
    what: 'a legacy disk: its queues share one port',
    first: { queues: 4, disk: 'legacy' },
    is: ['off', 'off', 'off', 'unknown'],
    stage: 'nothing in force; queue pinning unknown',
  },
];

const SIGHT: readonly Row[] = [
  {
    what: 'trace events are not counted',
    first: { ...ALL_FOUR, trace: 'none' },
    is: ['in_force', 'unknown', 'unknown', 'unknown'],
    stage: 'affinity; polling, batching, queue pinning unknown',
  },
  {
    what: 'all four in force, then the trace backend fails',
    first: ALL_FOUR,
    change: ({ now }) => set(now, { trace: 'none' }),
    is: ['in_force', 'in_force', 'in_force', 'in_force'],
    stage: 'pinned_queues',
  },
  {
    what: 'perf counts: no kicks by virtqueue, no interrupts',
    first: { ...ALL_FOUR, trace: 'perf' },
    is: ['in_force', 'in_force', 'in_force', 'unknown'],
    stage: 'affinity, polling, batching; queue pinning unknown',
  },
  {
    what: 'all four in force, then the monitor hangs',
    first: ALL_FOUR,
    change: ({ now }) => set(now, { monitor: 'silent', kicksPerIo: 1 }),
    is: ['in_force', 'in_force', 'in_force', 'in_force'],
    stage: 'pinned_queues',
  },
  {
    what: 'a vhost-user disk: QEMU does not count its I/Os',
    first: { ...PINNED, disk: 'vhost-user', iothreads: 0 },
    is: ['partly', 'unknown', 'unknown', 'unknown'],
    stage: 'nothing in force; affinity partly; polling, batching, queue pinning unknown',
  },
  {
    what: 'a disk passed through by VFIO',
    first: { ...PINNED, disk: 'vfio', iothreads: 0, kicksPerIo: 0, interruptsPerIo: 0 },
    is: ['partly', 'unknown', 'unknown', 'unknown'],
    stage: 'nothing in force; affinity partly; polling, batching, queue pinning unknown',
  },
  {
    what: 'polling, and a network device passed through by VFIO, whose interrupts may be counted too',
    first: { ...POLLING, disk: 'with vfio', interruptsPerIo: 3 },
    is: ['in_force', 'in_force', 'off', 'off'],
    stage: 'exitless_polling',
  },
  {
    what: 'a TDX guest, by its command line: KVM has no event for its kicks',
    first: { ...PINNED, pollMaxNs: 32_768, kicksPerIo: 0, confidentialBy: 'command line' },
    is: ['in_force', 'unknown', 'off', 'off'],
    stage: 'affinity; polling unknown',
  },
  {
    what: 'a SEV-ES guest, by KVM: KVM has events for some of its kicks',
    first: { ...PINNED, pollMaxNs: 32_768, kicksPerIo: 0.05, confidentialBy: 'kernel' },
    is: ['in_force', 'unknown', 'off', 'off'],
    stage: 'affinity; polling unknown',
  },
  {
    what: 'the same with one kick per I/O, which is certain',
    first: { ...PINNED, pollMaxNs: 32_768, confidentialBy: 'kernel' },
    is: ['in_force', 'off', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'no monitor, QEMU is not the VMM: few kicks, and the poller is unknown',
    first: { ...POLLING, monitor: 'none', commandLine: false, interruptsPerIo: 0 },
    is: ['in_force', 'unknown', 'unknown', 'unknown'],
    stage: 'affinity; polling, batching, queue pinning unknown',
  },
  {
    what: 'the disks of the host count the I/Os, 0.05 kicks each',
    first: { ...POLLING, requests: true },
    is: ['in_force', 'in_force', 'off', 'off'],
    stage: 'exitless_polling',
  },
  {
    what: 'the disks of the host count the I/Os, 0.7 kicks each: off by a factor of two',
    first: { ...PINNED, pollMaxNs: 32_768, requests: true, kicksPerIo: 0.7 },
    is: ['in_force', 'unknown', 'off', 'off'],
    stage: 'affinity; polling unknown',
  },
  {
    what: 'polling, and 50,000 kicks and interrupts per second of its network device',
    first: { ...POLLING, network: 0 },
    change: ({ now }) => set(now, { network: 50_000 }),
    is: ['in_force', 'in_force', 'off', 'off'],
    stage: 'exitless_polling',
  },
  {
    what: 'polling without a monitor, then 50,000 kicks per second of its network device',
    first: { ...POLLING, network: 0, monitor: 'none' },
    change: ({ now }) => set(now, { network: 50_000 }),
    is: ['in_force', 'in_force', 'off', 'off'],
    stage: 'exitless_polling',
  },
];

const LIFE: readonly Row[] = [
  {
    what: 'all four in force, idle for the rest of the hour',
    first: ALL_FOUR,
    change: ({ now }) => set(now, { iops: 0 }),
    is: ['in_force', 'in_force', 'in_force', 'in_force'],
    stage: 'pinned_queues',
  },
  {
    what: 'all four in force, the daemon is restarted',
    first: ALL_FOUR,
    change: (vm) => vm.restart(),
    is: ['in_force', 'in_force', 'in_force', 'in_force'],
    stage: 'pinned_queues',
  },
  {
    what: 'polling is lost, the daemon is restarted, the VM is idle',
    first: POLLING,
    change: async (vm) => {
      await losePolling(vm);
      vm.restart();
      vm.now.iops = 0;
    },
    is: ['in_force', 'lost', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'all four in force, ten minutes without judgements and with other I/O',
    first: ALL_FOUR,
    change: (vm) => {
      Object.assign(vm.now, { kicksPerIo: 1, uses: 'robin' });
      vm.away(600);
      Object.assign(vm.now, ALL_FOUR);
    },
    is: ['in_force', 'in_force', 'in_force', 'in_force'],
    stage: 'pinned_queues',
  },
  {
    what: 'polling is lost, and the VM restarts as another process without it',
    first: POLLING,
    change: (vm) => {
      vm.reborn();
      Object.assign(vm.now, { kicksPerIo: 1, interruptsPerIo: 1 });
    },
    is: ['in_force', 'off', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'polling is lost, and the operator accepts the loss',
    first: POLLING,
    change: async (vm) => {
      await losePolling(vm);
      vm.accept();
    },
    is: ['in_force', 'off', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'polling is lost and accepted while the VM is idle',
    first: POLLING,
    change: async (vm) => {
      await losePolling(vm);
      vm.now.iops = 0;
      vm.accept();
    },
    is: ['in_force', 'off', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'a loss is accepted, polling comes back and is lost again',
    first: POLLING,
    change: async (vm) => {
      await losePolling(vm);
      vm.accept();
      Object.assign(vm.now, POLLING);
      for (let i = 0; i < 10; i++) await vm.step();
      await losePolling(vm);
    },
    is: ['in_force', 'lost', 'off', 'off'],
    stage: 'affinity',
  },
  {
    what: 'all four in force, migrated away and back as another process',
    first: ALL_FOUR,
    change: (vm) => vm.reborn(),
    is: ['in_force', 'in_force', 'in_force', 'in_force'],
    stage: 'pinned_queues',
  },
  {
    what: 'polling is lost and comes back',
    first: POLLING,
    change: async (vm) => {
      await losePolling(vm);
      Object.assign(vm.now, POLLING);
    },
    is: ['in_force', 'in_force', 'off', 'off'],
    stage: 'exitless_polling',
  },
];

/** The truth table of docs/verdicts.md. */
export const SITUATIONS: readonly (readonly [title: string, rows: readonly Row[]])[] = [
  ['Cases that earlier versions judged wrongly', FALSE_BEFORE],
  ['The configurations of the paper', LADDER],
  ['Affinity', AFFINITY],
  ['Exitless polling', POLLERS],
  ['Parallel batching', BATCHES],
  ['Queue pinning', QUEUES],
  ['What the host cannot see', SIGHT],
  ['The life of a VM and of the daemon', LIFE],
];
