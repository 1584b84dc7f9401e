import { VariableSort } from '@grafana/schema';
import { VM } from '../alerts/recording.ts';
import { STAGES } from '../exporter/metrics/stages.ts';
import {
  and,
  countOverTime,
  div,
  equal,
  gauge,
  gaugeOffset,
  groupLeft,
  labelReplace,
  max,
  maxOverTime,
  min,
  minOverTime,
  mul,
  on,
  or,
  queryResult,
  type RangeVector,
  regexp,
  sort,
  sortDesc,
  sub,
  subquery,
  timestamp,
  unless,
  type Vector,
  vector,
} from '../promql/promql.ts';
import { OF_VMS, RANGE, RATE } from './queries.ts';
import { query, type Variable } from './variables.ts';

type Vm = (typeof VM)[number];
type Configured = Vm | 'configuration';
/** All configurations, or those that the variable `stage` selects. */
export type Shown = 'chosen' | 'all';

/** A stage is detected a minute or two after its start. This time does not count for the previous stage. */
const DETECTION_DELAY = '-2m';

/** The declared phase of each VM; its detected stage if no phase is declared, or if `$by` selects it. */
function configuration(offset: string | undefined, only: Shown): Vector<Configured> {
  const of = { ...OF_VMS, source: equal('detected') };
  const chosen = only === 'chosen' ? { stage: regexp('$stage') } : {};
  const info = <M extends 'kvm_vm_stage_info' | 'kvm_vm_phase_info'>(name: M, matchers: object) =>
    offset === undefined ? gauge(name, matchers) : gaugeOffset(name, offset, matchers);
  const declared = info('kvm_vm_phase_info', { ...OF_VMS, phase: regexp('$by') });
  const shown =
    only === 'chosen'
      ? and(declared, on(...VM, 'phase'), info('kvm_vm_phase_info', { ...OF_VMS, phase: regexp('$stage') }))
      : declared;
  const by = [...VM, 'configuration'] as const;
  return or(
    max(labelReplace(shown, 'configuration', '$1', 'phase', '(.*)'), by),
    on(...VM),
    unless(
      max(
        labelReplace(info('kvm_vm_stage_info', { ...of, ...chosen }), 'configuration', '$1', 'stage', '(.*)'),
        by,
      ),
      on(...VM),
      declared,
    ),
  );
}

/**
 * The configuration of VMs that have had it for the window of a rate, and keep it until the next one is
 * detected.
 */
function settled(only: Shown): Vector<Configured> {
  const same = [...VM, 'configuration'] as const;
  const since = and(configuration(undefined, only), on(...same), configuration(RATE, 'all'));
  return and(since, on(...same), configuration(DETECTION_DELAY, 'all'));
}

/** The samples of a VM's value during each configuration. */
export function byConfiguration<L extends string>(
  value: Vector<L | Vm>,
  only: Shown,
): RangeVector<L | Configured> {
  return subquery(
    mul(value, on(...VM), groupLeft('configuration'), settled(only)) as Vector<L | Configured>,
    RANGE,
    RATE,
  );
}

/** 1 for the configuration of each VM while it counts, 0 during the window of a rate and until detection. */
function countedOverTime(): Vector<Configured> {
  return or(mul(settled('chosen'), 1), mul(configuration(undefined, 'chosen'), 0));
}

/** The same by configuration, in the order of the ladder. */
export function countedByConfiguration(): Vector<Configured>[] {
  const counted = countedOverTime();
  return [
    ...STAGES.map((stage) => and(counted, on('configuration'), configurationNamed(stage))),
    unless(counted, on('configuration'), RANKS),
  ];
}

/** Seconds between two samples of `byConfiguration`. */
export const secondsOfStep: Vector<never> = stepOf(subquery(timestamp(vector(1)), RANGE, RATE));

function stepOf(times: RangeVector<never>): Vector<never> {
  return div(sub(maxOverTime(times), minOverTime(times)), sub(countOverTime(times), 1));
}

const RANKS: Vector<'configuration'> = STAGES.map((stage, rank) =>
  labelReplace(vector(rank), 'configuration', stage, '', ''),
).reduce((a, b) => or(a, b));

const inOrder = (firstSeen: Vector<'configuration'>): Vector<'configuration'> =>
  or(and(RANKS, on('configuration'), firstSeen), firstSeen);

const firstOf = (of: Vector<Configured>, resolution: string): Vector<'configuration'> =>
  min(minOverTime(subquery(timestamp(of), RANGE, resolution)), ['configuration']);

/** The order in which configurations are shown: the paper's stages, then others in order of time. */
export function ladderOrder(): Vector<'configuration'> {
  return inOrder(firstOf(settled('chosen'), RATE));
}

/** The configuration that a variable selects. */
export function configurationNamed(variable: string): Vector<'configuration'> {
  return labelReplace(vector(1), 'configuration', variable, '', '');
}

/**
 * A variable with the configurations as values, in the order of the ladder or in reverse. $__rate_interval is
 * not available there.
 */
export function configurationVariable(
  name: string,
  label: string,
  description: string,
  of: 'several' | 'first' | 'last',
): Variable {
  const order = inOrder(firstOf(configuration(undefined, 'all'), '1m'));
  return query({
    name,
    label,
    description,
    multi: of === 'several',
    query: queryResult(of === 'last' ? sortDesc(order) : sort(order)),
    regex: '/configuration="([^"]+)"/',
    sort: VariableSort.disabled,
  });
}
