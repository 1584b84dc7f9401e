import { each, iosOf, onIoPath, RATE } from './host.ts';
import type { Case, Cases, Moment } from './panels.ts';
import { RANGE } from './panels.ts';
import { FIRING, TECHNIQUES_OF_KV } from './shared.ts';

/** Seconds that count for no configuration: a rate includes the time before, and the next stage is detected late. */
const UNSETTLED = { after: 60, before: 120 };
/** From here on each VM has been measured for the window of a rate. */
const MEASURED = 2 * RATE;
/** `db` declares its phases. `web` is always in the original stage and `mail` in affinity. */
const VMS = { instance: ['sim-host:9954'], vm: ['web', 'db', 'mail'], by: ['.+'] };
const CHOSEN = { ...VMS, before: ['original'], after: ['affinity'] };
const MINUTE = 19;

type Of = (moment: Moment) => Record<string, number>;
interface Measure {
  readonly title: string;
  readonly of: Of;
  readonly by?: Of;
  readonly factor?: number;
  readonly unit: string;
}

const step =
  (wanted: string): Of =>
  ({ truth, at }) =>
    truth.rates('steps', at, RATE, (vm, name) => (name === wanted ? vm : undefined));
const cores: Of = ({ truth, at }) => truth.rates('run', at, RATE, (vm) => vm);

const seconds: Of = ({ truth, at }) =>
  truth.rates('diskSeconds', at, RATE, (vm, _disk, operation) => (operation === 'flush' ? undefined : vm));
const reads: Of = ({ truth, at }) =>
  truth.rates('disk', at, RATE, (vm, _disk, operation) => (operation === 'read' ? vm : undefined));
const bytes: Of = (moment) => each(iosOf(moment), (ios) => ios * 4096);

const MEASURES: readonly Measure[] = [
  { title: 'I/Os per second', of: iosOf, unit: 'iops' },
  { title: 'CPU', of: cores, unit: 'percentunit' },
  { title: 'Exits per I/O', of: onIoPath, by: iosOf, unit: 'none' },
  { title: 'I/Os per kick', of: iosOf, by: step('kick'), unit: 'none' },
  { title: 'I/Os per injection', of: iosOf, by: step('inject'), unit: 'none' },
  { title: 'CPU per 1,000 I/Os', of: cores, by: iosOf, factor: 1000, unit: 's' },
  { title: 'Mean latency', of: seconds, by: iosOf, unit: 's' },
];

interface Sums {
  readonly of: number;
  readonly by: number;
  readonly vms: ReadonlySet<string>;
  readonly samples: number;
}

/** The work of VMs in each stage. */
function sumsByStage(
  { of, by }: Pick<Measure, 'of' | 'by'>,
  { at, ...moment }: Moment,
): Record<string, Sums> {
  const sums: Record<string, Sums> = {};
  const { truth } = moment;
  for (let time = Math.max(MEASURED, at - RANGE); time <= at; time += RATE) {
    for (const vm of VMS.vm) {
      const stage = truth.stages(time).get(vm);
      const around = [time - UNSETTLED.after, time + UNSETTLED.before].map((t) => truth.stages(t).get(vm));
      if (stage === undefined || around.some((one) => one !== stage)) continue;
      const then = { ...moment, at: time };
      const before = sums[stage];
      sums[stage] = {
        of: (before?.of ?? 0) + (of(then)[vm] ?? 0),
        by: (before?.by ?? 0) + (by === undefined ? 1 : (by(then)[vm] ?? 0)),
        vms: new Set([...(before?.vms ?? []), vm]),
        samples: (before?.samples ?? 0) + 1,
      };
    }
  }
  return sums;
}

/** By stage: the sum of one kind of work over the sum of another, or over the time. */
function byStage(measure: Measure, moment: Moment): Record<string, number> {
  return each(sumsByStage(measure, moment), ({ of, by }) => (of / by) * (measure.factor ?? 1));
}

/** The device's time of a read is 90 us; a quarter takes twice as long. The buckets are powers of two. */
const QUANTILES: Readonly<Record<string, readonly [number, number]>> = {
  'Median latency': [65e-6, 132e-6],
  '99th percentile of latency': [131e-6, 263e-6],
};

const quantileCases = Object.entries(QUANTILES).flatMap(([title, found]): [string, Case][] => [
  [
    `stat ${title}`,
    {
      unit: { original: 's', affinity: 's', ratio: 'suffix:×' },
      minute: MINUTE,
      wishes: CHOSEN,
      is: () => ({ original: found, affinity: found, ratio: [0.9, 1.1] }),
    },
  ],
  [
    `barchart ${title}`,
    {
      key: ['configuration'],
      minute: MINUTE,
      wishes: VMS,
      units: { [title]: 's' },
      rows: () => ({ original: { [title]: found }, affinity: { [title]: found } }),
    },
  ],
  [
    `timeseries ${title}`,
    { unit: 's', minute: MINUTE, wishes: { ...VMS, vm: ['db'] }, is: () => ({ db: found }) },
  ],
]);

const loadCase: Case = {
  key: ['Configuration'],
  minute: MINUTE,
  wishes: VMS,
  tolerance: 0.03,
  units: { VMs: 'short', Time: 's', 'I/Os': 'short', Reads: 'percentunit', 'Request size': 'bytes' },
  rows: (moment) => {
    const sizes = sumsByStage({ of: bytes, by: iosOf }, moment);
    return each(sumsByStage({ of: reads, by: iosOf }, moment), ({ of, by, vms, samples }, stage) => ({
      VMs: vms.size,
      Time: samples * RATE,
      'I/Os': by * RATE,
      Reads: of / by,
      'Request size': (sizes[stage]?.of ?? 0) / by,
    }));
  },
};

const sameLoad = (vm: readonly string[], instance: string, is: number): Case => ({
  unit: 'none',
  minute: 30,
  wishes: { instance: [instance], vm, by: ['()'] },
  called: {
    0: 'Same load',
    1: 'Reads and writes differ',
    2: 'Request size differs',
    3: 'Reads, writes and request size differ',
  },
  is: () => ({ load: is }),
});

const cases = MEASURES.flatMap((measure): [string, Case][] => {
  const { title, of, by, factor = 1, unit } = measure;
  return [
    [
      `stat ${title}`,
      {
        unit: { original: unit, affinity: unit, ratio: 'suffix:×' },
        minute: MINUTE,
        wishes: CHOSEN,
        tolerance: 0.03,
        is: (moment) => {
          const { original = Number.NaN, affinity = Number.NaN } = byStage(measure, moment);
          return { original, affinity, ratio: affinity / original };
        },
      },
    ],
    [
      `barchart ${title}`,
      {
        key: ['configuration'],
        minute: MINUTE,
        wishes: VMS,
        tolerance: 0.03,
        units: { [title]: unit },
        rows: (moment) => each(byStage(measure, moment), (value) => ({ [title]: value })),
      },
    ],
    [
      `timeseries ${title}`,
      {
        unit,
        minute: MINUTE,
        wishes: VMS,
        floor: unit === 'percentunit' ? 0.02 : 0,
        is: (moment) => {
          const below = by?.(moment);
          const chosen = Object.entries(of(moment)).filter(([vm]) => VMS.vm.includes(vm));
          return Object.fromEntries(
            chosen.map(([vm, value]) => [
              vm,
              (value / (below === undefined ? 1 : (below[vm] ?? 0))) * factor,
            ]),
          );
        },
      },
    ],
  ];
});

export const patchEffect: Cases = {
  'table Firing alerts': FIRING,
  'state-timeline Techniques over time': TECHNIQUES_OF_KV,
  ...Object.fromEntries([...cases, ...quantileCases]),
  'table Behind each bar': loadCase,
  'stat Is the load the same?': [
    // Both read only.
    sameLoad(['db', 'mail'], 'sim-host:9954', 0),
    // 30% and 20% are writes.
    sameLoad(['web', 'kv'], 'sim-host:9954', 1),
    sameLoad(['db', 'lonely'], 'other-host:9954', 3),
  ],
  'state-timeline Configurations': [
    {
      unit: 'none',
      minute: 35,
      wishes: { instance: ['sim-host:9954'], vm: ['db'], by: ['.+'] },
      called: { 0: 'not counted', 1: 'counted' },
      is: () => ({ 'db parallel_batching': 1 }),
    },
    // It began less than a minute ago.
    {
      unit: 'none',
      minute: 30.5,
      wishes: { instance: ['sim-host:9954'], vm: ['db'], by: ['.+'] },
      is: () => ({ 'db parallel_batching': 0 }),
    },
  ],
  'state-timeline Features': {
    unit: 'none',
    wishes: { instance: ['sim-host:9954'], vm: ['kv', 'web'] },
    others: true,
    called: {
      0: 'no',
      1: 'yes',
      10: 'threads',
      11: 'native',
      12: 'io_uring',
      20: 'none',
      21: 'IOThread',
      30: 'one',
      31: 'several',
      32: 'one per vCPU',
      41: 'own',
      42: 'one per queue',
    },
    // By the configuration of each VM: lab/simhost/calibration.ts.
    is: () => ({
      'kv vcpus_pinned': 1,
      'kv io_threads_pinned': 1,
      'kv aio': 11,
      'kv polling': 21,
      'kv queues': 32,
      'kv IOThreads': 42,
      'kv vhost': 0,
      'web vcpus_pinned': 0,
      'web io_threads_pinned': 0,
      'web polling': 20,
      'web queues': 30,
      'web IOThreads': 41,
      'web vhost': 1,
    }),
  },
};
