import { VM } from '../alerts/recording.ts';
import { add, compare, equal, max, mul, notRegexp, or, type Vector } from '../promql/promql.ts';
import { named, type Panel } from './panels/panel.ts';
import { StateTimeline } from './panels/state-timeline.ts';
import { type Query, series, vmGauge } from './queries.ts';

type Vm = Vector<(typeof VM)[number]>;
type Text = readonly [text: string, color: string];

const GREY = 'dark-blue';
const GOOD = 'semi-dark-green';

/** Features of one kind, of which a VM has one. The last one in force counts. */
interface Kind {
  readonly kind: string;
  readonly none: Text;
  readonly features: readonly (readonly [feature: string, text: string])[];
}

const KINDS: readonly Kind[] = [
  {
    kind: 'aio',
    none: ['threads', GREY],
    features: [
      ['aio_native', 'native'],
      ['aio_io_uring', 'io_uring'],
    ],
  },
  {
    kind: 'polling',
    none: ['none', GREY],
    features: [
      ['iothread_polling', 'IOThread'],
      ['sqpoll', 'SQPOLL'],
    ],
  },
  {
    kind: 'queues',
    none: ['one', GREY],
    features: [
      ['multiqueue', 'several'],
      ['queue_per_vcpu', 'one per vCPU'],
    ],
  },
  {
    kind: 'IOThreads',
    none: ['shared', GREY],
    features: [
      ['dedicated_iothreads', 'own'],
      ['iothread_vq_mapping', 'one per queue'],
    ],
  },
];

/** Grafana maps values for the whole panel, so each kind has values of its own, above 0 and 1. */
const firstValue = (kind: number): number => 10 * (kind + 1);

const feature = (name: string): Vm => max(vmGauge('kvm_vm_feature', { feature: equal(name) }), VM);

function queryOf({ kind, features }: Kind, i: number): Query {
  const none = features.map(([name]) => add(mul(feature(name), 0), firstValue(i)));
  const inForce = features.map(([name], place) =>
    mul(compare(feature(name), '==', 1), firstValue(i) + place + 1),
  );
  return series(
    [...inForce.reverse(), ...none].reduce((a, b) => or(a, b)),
    `{{vm}} ${kind}` as '{{vm}}',
  );
}

const grouped = KINDS.flatMap(({ features }) => features.map(([name]) => name)).join('|');
const texts: (readonly [value: number, text: Text])[] = KINDS.flatMap(({ none, features }, i) =>
  [none, ...features.map(([, text]): Text => [text, GOOD])].map((text, place) => [
    firstValue(i) + place,
    text,
  ]),
);

/** The features of the paper's methodology over time. */
export function featureTimeline(size: { readonly width: number; readonly height: number }): Panel {
  return new StateTimeline({
    title: 'Features',
    description: "Features of the paper's methodology, by VM. docs/sources.md has the whole list.",
    ...size,
    unit: 'none',
    legend: false,
    queries: [
      ...KINDS.map(queryOf),
      series(
        max(vmGauge('kvm_vm_feature', { feature: notRegexp(grouped) }), [...VM, 'feature']),
        '{{vm}} {{feature}}',
      ),
    ],
    mappings: [named({ 0: ['no', GREY], 1: ['yes', GOOD], ...Object.fromEntries(texts) })],
  });
}
