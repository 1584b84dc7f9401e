import { mkdirSync, writeFileSync } from 'node:fs';
import type { TechniqueState } from '../exporter/metrics/techniques.ts';
import type { Configuration } from '../lab/simhost/calibration.ts';
import type { DiskSpec } from '../lab/simhost/disk.ts';
import { SimulatedHost } from '../lab/simhost/host.ts';
import {
  absent,
  agenda,
  between,
  type Happening,
  MINUTE,
  nvmes,
  type Scenario,
  type ScenarioOptions,
  type Watchers,
} from '../lab/simhost/scenarios/scenario.ts';
import type { VmSpec } from '../lab/simhost/vm.ts';

/** States of affinity, exitless polling, parallel batching and queue pinning. */
export type States = readonly [TechniqueState, TechniqueState, TechniqueState, TechniqueState];

/** The changes of the VM with this name. */
type Happens = (host: SimulatedHost, vm: string) => void;

export interface SimulatedRow {
  readonly what: string;
  readonly spec: Omit<VmSpec, 'name' | 'disks'> & { readonly disks?: readonly string[] };
  /** A phase that is declared from the start. */
  readonly phase?: string;
  /** From the start. */
  readonly is: States;
  /** At these minutes, and the states from then on. */
  readonly changes?: readonly (readonly [minute: number, happens: Happens, is: States])[];
}

const THEN = 20;
const LATER = 40;

const OFF: States = ['off', 'off', 'off', 'off'];
const PINNED: States = ['in_force', 'off', 'off', 'off'];
const POLLING: States = ['in_force', 'in_force', 'off', 'off'];
const BATCHING: States = ['in_force', 'in_force', 'in_force', 'off'];
const ALL: States = ['in_force', 'in_force', 'in_force', 'in_force'];
const POLLING_LOST: States = ['in_force', 'lost', 'off', 'off'];
const UNPINNED: States = ['lost', 'in_force', 'in_force', 'in_force'];

const of = (configuration: Configuration, more: Partial<VmSpec> = {}): SimulatedRow['spec'] => ({
  configuration,
  vcpus: 2,
  ...more,
});
/** Enough vCPUs to distinguish a pinned queue from a shared one. */
const pinnedQueues = of('pinned_queues', { vcpus: 4 });
const satas = ['sda', 'sdb', 'sdc', 'sdd'];

const CONFIGURATIONS: readonly SimulatedRow[] = [
  { what: 'original', spec: of('original'), is: OFF },
  { what: 'affinity', spec: of('affinity'), is: PINNED },
  { what: 'exitless polling', spec: of('exitless_polling'), is: POLLING },
  { what: 'parallel batching', spec: of('parallel_batching', { vcpus: 4 }), is: BATCHING },
  { what: 'pinned queues', spec: pinnedQueues, is: ALL },
  { what: 'data plane, four SATA SSDs', spec: of('sata_data_plane', { disks: satas }), is: OFF },
  { what: 'exitless polling, four SATA SSDs', spec: of('sata_polling', { disks: satas }), is: POLLING },
  {
    what: 'exitless polling with CPU saving, four SATA SSDs',
    spec: of('sata_polling_saving', { disks: satas }),
    is: POLLING,
  },
  { what: 'pinned queues by libvirt', spec: { ...pinnedQueues, libvirt: true }, is: ALL },
  {
    what: 'exitless polling, and a network device on vhost',
    spec: of('exitless_polling', { vhostNet: true }),
    is: POLLING,
  },
  { what: 'exitless polling with APICv', spec: of('exitless_polling', { apicv: true }), is: POLLING },
  {
    what: 'affinity, and an SQPOLL thread, one kick per I/O',
    spec: of('affinity', { sqpoll: true }),
    is: PINNED,
  },
  {
    what: 'affinity, declared as `pinned queues`',
    spec: of('affinity'),
    phase: 'pinned queues',
    is: PINNED,
  },
  { what: 'affinity, 40% writes with flushes', spec: of('affinity', { writes: 0.4 }), is: PINNED },
  { what: 'original, 200 I/Os per second', spec: of('original', { iops: 200 }), is: OFF },
  {
    what: 'exitless polling, never more than 200 I/Os per second: the poller sleeps',
    spec: of('exitless_polling', { iops: 200 }),
    is: ['in_force', 'unknown', 'off', 'off'],
  },
];

const CHANGES: readonly SimulatedRow[] = [
  {
    what: 'original, then pinned, and its memory follows',
    spec: of('original'),
    is: OFF,
    changes: [[THEN, (host, vm) => host.configure(vm, 'affinity'), PINNED]],
  },
  {
    what: 'affinity, then not pinned',
    spec: of('affinity'),
    is: PINNED,
    changes: [[THEN, (host, vm) => host.configure(vm, 'original'), ['lost', 'off', 'off', 'off']]],
  },
  {
    what: 'affinity, then poll-max-ns',
    spec: of('affinity'),
    is: PINNED,
    changes: [[THEN, (host, vm) => host.configure(vm, 'exitless_polling'), POLLING]],
  },
  {
    what: 'exitless polling, then poll-max-ns 0',
    spec: of('exitless_polling'),
    is: POLLING,
    changes: [[THEN, (host, vm) => host.configure(vm, 'affinity'), POLLING_LOST]],
  },
  {
    what: 'exitless polling, then another process with three queues',
    spec: of('exitless_polling', { vcpus: 4 }),
    is: POLLING,
    changes: [[THEN, (host, vm) => host.configure(vm, 'parallel_batching'), BATCHING]],
  },
  {
    what: 'pinned queues, then another process as original',
    spec: pinnedQueues,
    is: ALL,
    changes: [[THEN, (host, vm) => host.configure(vm, 'original'), OFF]],
  },
  {
    what: 'pinned queues, rebooted',
    spec: pinnedQueues,
    is: ALL,
    changes: [[THEN, (host, vm) => host.reboot(vm), ALL]],
  },
];

const FAULTS: readonly SimulatedRow[] = [
  {
    what: 'pinned queues, then the mask of a vCPU is widened',
    spec: pinnedQueues,
    is: ALL,
    changes: [[THEN, ({ faults }, vm) => faults.drift(vm, 'widened'), UNPINNED]],
  },
  {
    what: 'the same by libvirt',
    spec: { ...pinnedQueues, libvirt: true },
    is: ALL,
    changes: [[THEN, ({ faults }, vm) => faults.drift(vm, 'widened'), UNPINNED]],
  },
  {
    what: "pinned queues, then an IOThread on a vCPU's CPU, and back",
    spec: pinnedQueues,
    is: ALL,
    changes: [
      [THEN, ({ faults }, vm) => faults.drift(vm, 'shared_cpu'), UNPINNED],
      [LATER, ({ faults }, vm) => faults.restore(vm), ALL],
    ],
  },
  {
    what: 'exitless polling, then the IOThread on the other node',
    spec: of('exitless_polling'),
    is: POLLING,
    changes: [[THEN, ({ faults }, vm) => faults.drift(vm, 'other_node'), ['lost', 'in_force', 'off', 'off']]],
  },
  {
    what: 'exitless polling, then one kick and one interrupt per I/O',
    spec: of('exitless_polling'),
    is: POLLING,
    changes: [[THEN, ({ faults }, vm) => faults.losePolling(vm, true), POLLING_LOST]],
  },
  {
    what: 'the same, and back',
    spec: of('exitless_polling'),
    is: POLLING,
    changes: [
      [THEN, ({ faults }, vm) => faults.losePolling(vm, true), POLLING_LOST],
      [LATER, ({ faults }, vm) => faults.losePolling(vm, false), POLLING],
    ],
  },
  {
    what: 'pinned queues, then all I/O through the first queue',
    spec: pinnedQueues,
    is: ALL,
    changes: [
      [THEN, ({ faults }, vm) => faults.useOneQueue(vm, true), ['in_force', 'in_force', 'lost', 'lost']],
    ],
  },
];

/** Not one of these changes a technique. */
const HARMLESS: readonly SimulatedRow[] = [
  harmless('pinned queues, then idle', pinnedQueues, ALL, (host, vm) => host.load(vm, 0)),
  harmless('exitless polling, then 200 I/Os per second', of('exitless_polling'), POLLING, (host, vm) =>
    host.load(vm, 200),
  ),
  harmless('pinned queues, then 5,000 I/Os per second: the pollers sleep', pinnedQueues, ALL, (host, vm) =>
    host.load(vm, 5000),
  ),
  harmless('original, then a storm of I/O exits', of('original'), OFF, ({ faults }, vm) =>
    faults.exitStorm(vm, 50_000),
  ),
  harmless('exitless polling, then a storm of I/O exits', of('exitless_polling'), POLLING, ({ faults }, vm) =>
    faults.exitStorm(vm, 50_000),
  ),
  harmless('pinned queues, then its I/O hangs', pinnedQueues, ALL, ({ faults }, vm) =>
    faults.stallIo(vm, true),
  ),
  harmless('pinned queues, then its monitor hangs', pinnedQueues, ALL, ({ faults }, vm) =>
    faults.hangMonitor(vm, true),
  ),
  harmless('affinity, then wasted halt polls', of('affinity'), PINNED, ({ faults }, vm) =>
    faults.wasteHaltPolls(vm, true),
  ),
  harmless('pinned queues, then other programs on its CPUs', pinnedQueues, ALL, ({ faults }, vm) =>
    faults.hog(vm, 4),
  ),
  harmless('exitless polling, then a CPU quota', of('exitless_polling'), POLLING, ({ faults }, vm) =>
    faults.quota(vm, 1),
  ),
  harmless('affinity, then slow exits', of('affinity'), PINNED, ({ faults }, vm) => faults.slowExits(vm, 50)),
];

function harmless(what: string, spec: SimulatedRow['spec'], is: States, happens: Happens): SimulatedRow {
  return { what, spec, is, changes: [[THEN, happens, is]] };
}

export const SIMULATED_SITUATIONS: readonly (readonly [title: string, rows: readonly SimulatedRow[]])[] = [
  ['Configurations', CONFIGURATIONS],
  ['Changes of the configuration', CHANGES],
  ['Faults', FAULTS],
  ['Changes that affect no technique', HARMLESS],
];

/** By the name of the VM. */
export const SIMULATED_ROWS: ReadonlyMap<string, SimulatedRow> = new Map(
  SIMULATED_SITUATIONS.flatMap(([, rows]) => rows).map((row, i) => [`vm-${i}`, row]),
);

const DISKS = 8;

/** Events of the host, in minutes. No state may change. */
const RESTARTS = { from: 27 * MINUTE, to: 27 * MINUTE + 20 } as const;
const DOWN = { from: 30 * MINUTE, to: 35 * MINUTE } as const;
const LOCKED = { from: 50 * MINUTE, to: 53 * MINUTE } as const;

/**
 * One host with a VM for each row. Its exporter restarts, is down for five minutes, and cannot read KVM's
 * counters for three.
 */
export function simulatedSituations(stateDirectory: string): (options: ScenarioOptions) => Scenario {
  return (options) => {
    const disks = nvmes(DISKS).map((disk): DiskSpec => ({ ...disk, hardwareQueues: 4 }));
    const vms = [...SIMULATED_ROWS].map(
      ([name, { spec }], i): VmSpec => ({ disks: [disks[i % disks.length]?.name ?? ''], ...spec, name }),
    );
    const sata = satas.map((name): DiskSpec => ({ name, kind: 'sata', node: 0, hardwareQueues: 1 }));
    const host = new SimulatedHost({ ...options, cpus: 256, disks: [...disks, ...sata], vms });
    const watchers: Watchers = { exporter: 'up', prometheus: 'up' };
    const since = new Date((options.startTime ?? 0) * 1000).toISOString();
    const phases = [...SIMULATED_ROWS].flatMap(([vm, { phase }]) =>
      phase === undefined ? [] : [[vm, { phase, since }] as const],
    );
    mkdirSync(stateDirectory, { recursive: true });
    writeFileSync(`${stateDirectory}/phases.json`, JSON.stringify({ phases: Object.fromEntries(phases) }));
    const own = [...SIMULATED_ROWS].flatMap(([vm, { changes = [] }]) =>
      changes.map(
        ([minute, happens]): Happening => ({ at: minute * MINUTE, happen: () => happens(host, vm) }),
      ),
    );
    const script = agenda(host, [
      ...own,
      ...[RESTARTS, DOWN].flatMap(({ from, to }) =>
        between(from, to, (on) => absent(watchers, 'exporter', on)),
      ),
      ...between(LOCKED.from, LOCKED.to, (on) => {
        host.lockdown = on ? 'integrity' : 'none';
      }),
    ]);
    return { host, watchers, script };
  };
}
