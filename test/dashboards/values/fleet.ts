import { readBuild } from '../../../exporter/cli/build.ts';
import { all, each, exitsOf, iosOf, onIoPath } from './host.ts';
import type { Case, Cases, Moment } from './panels.ts';
import { FIRING_OF_HOST } from './shared.ts';

/** Seconds that recorded rates take in. */
const WINDOW = 120;
const HOSTS = { sim: 'sim-host:9954', other: 'other-host:9954' } as const;

type Of = (moment: Moment, window?: number) => Record<string, number>;

const onOther = (moment: Moment): Moment => ({ ...moment, truth: moment.other });
/** By instance. */
const byHost = (moment: Moment, of: (moment: Moment) => number): Record<string, number> => ({
  [HOSTS.sim]: of(moment),
  [HOSTS.other]: of(onOther(moment)),
});
const total =
  (of: Of) =>
  (moment: Moment): number =>
    all(of(moment, WINDOW));
const both = (of: (moment: Moment) => number) => (moment: Moment) => of(moment) + of(onOther(moment));
/** VMs by name and host. */
const byVm = (of: Of) => (moment: Moment) => ({
  ...rename(of(moment, WINDOW), HOSTS.sim),
  ...rename(of(onOther(moment), WINDOW), HOSTS.other),
});
const rename = (of: Record<string, number>, instance: string): Record<string, number> =>
  Object.fromEntries(Object.entries(of).map(([vm, value]) => [`${vm} ${instance}`, value]));

/** The monitor of `lonely` hangs: nobody knows of its I/Os but the block layer's trace, and the exits are those that are traced. */
const perIo = (moment: Moment): number => all(onIoPath(moment, WINDOW)) / all(iosOf(moment, WINDOW));

const wait: Of = ({ truth, at }, window = WINDOW) =>
  truth.highest('wait', at, window, (vm, role) => (role === 'vcpu' ? vm : undefined));
const busiest: Of = ({ truth, at }, window = WINDOW) =>
  truth.highest('run', at, window, (vm, role) => (role === 'vcpu' ? undefined : vm));

/** Beyond five for each I/O or, where that is less, two for each kick, injection and EOI. */
const excess: Of = (moment, window = WINDOW) => {
  const [ios, path] = [iosOf(moment, window), onIoPath(moment, window)];
  return each(exitsOf(moment, window), (exits, vm) => {
    const explained = Math.min(5 * (ios[vm] ?? 0), 2 * (path[vm] ?? 0));
    return Math.max(0, exits - explained) / moment.truth.value(`vcpus|${vm}`, moment.at);
  });
};

const table = (column: string, unit: string, of: Of, more: Partial<Case> = {}): Case =>
  ({
    key: ['VM', 'Host'],
    units: { [column]: unit },
    rows: (moment: Moment) => each(byVm(of)(moment), (value) => ({ [column]: value })),
    ...more,
  }) as Case;

const lines = (unit: string, of: (moment: Moment) => number, more: Partial<Case> = {}): Case => ({
  unit,
  is: (moment: Moment) => byHost(moment, of),
  ...more,
});

export const fleet: Cases = {
  'stat Hosts': { unit: 'short', is: () => ({ Hosts: 2 }) },
  'stat Hosts down': { unit: 'short', is: () => ({}) },
  'stat VMs': { unit: 'short', is: () => ({ VMs: 8 }) },
  'stat I/Os': { unit: 'iops', is: (moment) => ({ 'I/Os': both(total(iosOf))(moment) }) },
  'stat Exits': { unit: 'eps', is: (moment) => ({ Exits: both(total(exitsOf))(moment) }) },
  'stat Exits per I/O': {
    unit: 'none',
    is: (moment) => ({ 'Exits per I/O': both(total(onIoPath))(moment) / both(total(iosOf))(moment) }),
  },
  'stat Drifting VMs': [
    { unit: 'short', minute: 23, is: () => ({ 'Drifting VMs': 1 }) },
    { unit: 'short', is: () => ({}) },
  ],
  'stat Failing collectors': { unit: 'short', is: () => ({ 'Failing collectors': 2 }) },
  'timeseries Exits by step of the I/O path': {
    unit: 'eps',
    is: (moment) => {
      const of = ({ truth, at }: Moment) => truth.rates('steps', at, WINDOW, (_vm, step) => step);
      const there = of(onOther(moment));
      return each(of(moment), (count, step) => count + (there[step] ?? 0));
    },
  },
  'timeseries Exits per I/O': lines('none', perIo),
  'timeseries Exit rate': lines('eps', total(exitsOf)),
  'timeseries I/Os': lines('iops', total(iosOf)),
  'timeseries Drifting VMs': { unit: 'short', minute: 23, is: () => ({ [HOSTS.sim]: 1 }) },
  'timeseries Tasks that wait for a CPU': lines('none', ({ truth, at }) => truth.total('wait', at, WINDOW)),
  'table Exits beyond I/O': [
    table('Exits/s and vCPU', 'eps', excess, { floor: 1 }),
    // In the storm `web` is first.
    table('Exits/s and vCPU', 'eps', (moment) => ({ web: excess(moment)['web'] ?? 0 }), {
      minute: 15,
      others: true,
      rows: (moment: Moment) => ({
        [`web ${HOSTS.sim}`]: { 'Exits/s and vCPU': excess(moment)['web'] ?? 0 },
      }),
    } as Partial<Case>),
  ],
  'table Exits per I/O': table('Exits per I/O', 'none', (moment, window) =>
    each(iosOf(moment, window), (ios, vm) => (onIoPath(moment, window)[vm] ?? 0) / ios),
  ),
  'table Slow exits': {
    key: ['VM', 'Host'],
    units: { '99th percentile': 's' },
    others: true,
    rows: () => ({ [`web ${HOSTS.sim}`]: { '99th percentile': [4.1e-6, 8.2e-6] } }),
  },
  'table Starved vCPUs': [
    table('Wait', 'percentunit', wait, { tolerance: 0.02 }),
    {
      key: ['VM', 'Host'],
      minute: 23,
      others: true,
      units: { Wait: 'percentunit' },
      // Its I/O thread is on the CPU of vCPU 0.
      rows: (moment) => ({ [`kv ${HOSTS.sim}`]: { Wait: wait(moment)['kv'] ?? 0 } }),
    },
  ],
  'table Busy I/O threads': table('Busy', 'percentunit', busiest, { tolerance: 0.02 }),
  'table Drift': {
    key: ['VM', 'Host'],
    minute: 23,
    units: { Threads: 'short' },
    rows: () => ({ [`kv ${HOSTS.sim}`]: { Threads: 3 } }),
  },
  'table Firing alerts': FIRING_OF_HOST,
  'barchart VMs by technique': {
    key: ['technique\\state'],
    units: { 'in force': 'short', partly: 'short', lost: 'short', off: 'short', unknown: 'short' },
    // The VMs by stage, below: each stage has the techniques of those before it.
    rows: () => ({
      affinity: { 'in force': 6 },
      'exitless polling': { 'in force': 4 },
      'parallel batching': { 'in force': 3 },
      'pinned queues': { 'in force': 2 },
    }),
  },
  'table Lost techniques': {
    key: ['VM', 'Host', 'Technique'],
    minute: 24,
    units: { Lost: 'dateTimeFromNow' },
    tolerance: 0,
    rows: ({ start }) => ({
      [`kv ${HOSTS.sim} affinity`]: { Lost: [(start + 1200) * 1000, (start + 1290) * 1000] },
    }),
  },
  'barchart VMs by stage': {
    key: ['stage'],
    units: { VMs: 'short' },
    rows: () => ({
      original: { VMs: 2 },
      affinity: { VMs: 2 },
      exitless_polling: { VMs: 1 },
      parallel_batching: { VMs: 1 },
      pinned_queues: { VMs: 2 },
    }),
  },
  'timeseries CPU by role': {
    unit: 'suffix:cores',
    floor: 0.05,
    is: (moment) => {
      const of = ({ truth, at }: Moment) => truth.rates('run', at, WINDOW, (_vm, role) => role);
      const there = of(onOther(moment));
      return each(of(moment), (cores, role) => cores + (there[role] ?? 0));
    },
  },
  'table Hosts': {
    key: ['Host'],
    units: {
      VMs: 'short',
      Exits: 'eps',
      'I/Os': 'iops',
      'Exits per I/O': 'none',
      'Drifting VMs': 'short',
      'Failing collectors': 'short',
      Scrape: 's',
      Series: 'short',
    },
    rows: (moment) => {
      const [exits, ios, ratios] = [total(exitsOf), total(iosOf), perIo].map((of) => byHost(moment, of));
      return each({ [HOSTS.sim]: [6, 0], [HOSTS.other]: [2, 2] }, ([vms = 0, failing = 0], host) => ({
        VMs: vms,
        Exits: exits?.[host] ?? 0,
        'I/Os': ios?.[host] ?? 0,
        'Exits per I/O': ratios?.[host] ?? 0,
        'Drifting VMs': 0,
        'Failing collectors': failing,
        Scrape: [0.03, 0.07],
        Series: [100, 10_000],
      }));
    },
  },
  'table Versions': {
    key: ['Version'],
    units: { Hosts: 'short' },
    rows: () => ({ [readBuild({}, true).version]: { Hosts: 2 } }),
  },
  // Made up: lab/history/own-process.ts.
  'timeseries Scrape duration': {
    unit: 's',
    is: () => ({ [HOSTS.sim]: [0.03, 0.07], [HOSTS.other]: [0.03, 0.07] }),
  },
  'timeseries Series': {
    unit: 'short',
    is: () => ({ [HOSTS.sim]: [500, 10_000], [HOSTS.other]: [100, 2000] }),
  },
};
