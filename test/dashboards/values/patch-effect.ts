import { each, iosOf, onIoPath, RATE } from './host.ts';
import type { Case, Cases, Moment } from './panels.ts';
import { RANGE } from './panels.ts';

/** Seconds that are credited to no configuration: a rate takes in what was before, and the next stage is detected late. */
const UNSETTLED = { after: 60, before: 120 };
/** From here on each VM has been measured for the window of a rate. */
const MEASURED = 2 * RATE;
/** `db` declares what it is, `web` is in the original and `mail` in affinity all the time. */
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

const MEASURES: readonly Measure[] = [
  { title: 'I/Os per second', of: iosOf, unit: 'iops' },
  { title: 'CPU', of: cores, unit: 'percentunit' },
  { title: 'Exits per I/O', of: onIoPath, by: iosOf, unit: 'none' },
  { title: 'I/Os per kick', of: iosOf, by: step('kick'), unit: 'none' },
  { title: 'I/Os per injection', of: iosOf, by: step('inject'), unit: 'none' },
  { title: 'CPU per 1,000 I/Os', of: cores, by: iosOf, factor: 1000, unit: 's' },
];

/** By stage: all that VMs did in it over all of the other, or over the time. */
function byStage({ of, by, factor = 1 }: Measure, { at, ...moment }: Moment): Record<string, number> {
  const sums: Record<string, [number, number]> = {};
  const { truth } = moment;
  for (let time = Math.max(MEASURED, at - RANGE); time <= at; time += RATE) {
    for (const vm of VMS.vm) {
      const stage = truth.stages(time).get(vm);
      const around = [time - UNSETTLED.after, time + UNSETTLED.before].map((t) => truth.stages(t).get(vm));
      if (stage === undefined || around.some((one) => one !== stage)) continue;
      const then = { ...moment, at: time };
      const [a, b] = sums[stage] ?? [0, 0];
      sums[stage] = [a + (of(then)[vm] ?? 0), b + (by === undefined ? 1 : (by(then)[vm] ?? 0))];
    }
  }
  return each(sums, ([a, b]) => (a / b) * factor);
}

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
  ...Object.fromEntries(cases),
  'state-timeline Detected stage': {
    unit: 'none',
    minute: 35,
    wishes: { instance: ['sim-host:9954'], vm: ['db'] },
    called: { 0: 'original', 2: 'exitless polling', 3: 'parallel batching', 4: 'pinned queues' },
    is: () => ({ db: 3 }),
  },
  'state-timeline Features': {
    unit: 'none',
    wishes: { instance: ['sim-host:9954'], vm: ['kv', 'web'] },
    others: true,
    called: { 0: 'no', 1: 'yes' },
    // By the configuration of each: lab/simhost/calibration.ts.
    is: () => ({
      'kv vcpus_pinned': 1,
      'kv io_threads_pinned': 1,
      'kv iothread_polling': 1,
      'kv multiqueue': 1,
      'kv queue_per_vcpu': 1,
      'kv vhost': 0,
      'web vcpus_pinned': 0,
      'web io_threads_pinned': 0,
      'web iothread_polling': 0,
      'web multiqueue': 0,
      'web vhost': 1,
    }),
  },
};
