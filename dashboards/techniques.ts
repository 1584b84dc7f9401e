import { VM } from '../alerts/recording.ts';
import { TECHNIQUE_STATES, type TechniqueState } from '../exporter/metrics/techniques.ts';
import {
  compare,
  counterRange,
  equal,
  labelReplace,
  lastOverTime,
  max,
  mul,
  or,
  sum,
  type Vector,
} from '../promql/promql.ts';
import { named, type Panel } from './panels/panel.ts';
import { StateTimeline } from './panels/state-timeline.ts';
import { type Column, Table } from './panels/table.ts';
import { OF_VMS, RANGE, rows, series, vmGauge } from './queries.ts';

const OF_TECHNIQUE = [...VM, 'technique'] as const;
type OfTechnique = Vector<(typeof OF_TECHNIQUE)[number]>;

const TEXTS: Readonly<Record<TechniqueState, readonly [text: string, color: string]>> = {
  in_force: ['in force', 'dark-green'],
  partly: ['partly', 'dark-yellow'],
  lost: ['lost', 'dark-red'],
  off: ['off', 'dark-blue'],
  unknown: ['unknown', 'dark-purple'],
};

export const stateText = (state: TechniqueState): string => TEXTS[state][0];
export const stateColor = (state: TechniqueState): string => TEXTS[state][1];

/** Names of techniques with spaces. */
export const inWords = <L extends string>(of: Vector<L | 'technique'>): Vector<L | 'technique'> =>
  labelReplace(of, 'technique', '$1 $2', 'technique', '(.+)_(.+)');

/** The index of the state in TECHNIQUE_STATES. */
const state: OfTechnique = TECHNIQUE_STATES.map((one, i) =>
  mul(max(compare(vmGauge('kvm_vm_technique_state', { state: equal(one) }), '==', 1), OF_TECHNIQUE), i),
).reduce((a, b) => or(a, b));

const mapping = named(
  Object.fromEntries(TECHNIQUE_STATES.map((one, i) => [i, [stateText(one), stateColor(one)]])),
);

/** The states of the four techniques of each VM over time. */
export function techniqueTimeline(size: { readonly width: number; readonly height: number }): Panel {
  return new StateTimeline({
    title: 'Techniques over time',
    description:
      'State of each technique of the paper, judged apart: affinity, exitless polling, parallel batching, queue pinning. Lost: it was in force since the VM started and is not now. docs/verdicts.md has the rules.',
    ...size,
    unit: 'none',
    queries: [series(inWords(state), '{{vm}} {{technique}}')],
    mappings: [mapping],
  });
}

/** Milliseconds, as Grafana's dates. */
const since: OfTechnique = mul(max(vmGauge('kvm_vm_technique_since_timestamp_seconds'), OF_TECHNIQUE), 1000);
const losses: OfTechnique = sum(
  lastOverTime(counterRange('kvm_vm_technique_changes_total', RANGE, { ...OF_VMS, to: equal('lost') })),
  OF_TECHNIQUE,
);

/** The states at the end of the range. */
export function techniqueTable(size: { readonly width: number; readonly height: number }): Panel {
  const columns: Column[] = [
    { from: 'vm', title: 'VM' },
    { from: 'technique', title: 'Technique' },
    { from: 'Value #A', title: 'State', unit: 'none', coloured: 'text', more: { mappings: [mapping] } },
    { from: 'Value #B', title: 'Since', unit: 'dateTimeFromNow' },
    { from: 'Value #C', title: 'Times lost', unit: 'short', decimals: 0 },
  ];
  return new Table({
    title: 'Techniques',
    description:
      'State of each technique at the end of the time range, since when, and how often it was lost since the VM was first seen.',
    ...size,
    queries: [rows(inWords(state)), rows(inWords(since)), rows(or(inWords(losses), inWords(mul(state, 0))))],
    columns,
  });
}
