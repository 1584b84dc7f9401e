import { VariableSort } from '@grafana/schema';
import { VM } from '../alerts/recording.ts';
import {
  and,
  equal,
  gauge,
  gaugeOffset,
  groupLeft,
  labelReplace,
  max,
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

/** A stage is detected a minute or two after its start. This time does not count for the previous stage. */
const DETECTION_DELAY = '-2m';

/** The declared phase of each VM; its detected stage if no phase is declared, or if `$by` selects it. */
function configuration(offset: string | undefined, only: 'chosen' | 'all'): Vector<Configured> {
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
function settled(only: 'chosen' | 'all'): Vector<Configured> {
  const same = [...VM, 'configuration'] as const;
  const since = and(configuration(undefined, only), on(...same), configuration(RATE, 'all'));
  return and(since, on(...same), configuration(DETECTION_DELAY, 'all'));
}

/** The samples of a VM's value during each configuration. */
export function byConfiguration(value: Vector<Vm>, only: 'chosen' | 'all'): RangeVector<Configured> {
  return subquery(mul(value, on(...VM), groupLeft('configuration'), settled(only)), RANGE, RATE);
}

/** The first time of each configuration. They are shown in this order. */
export function firstSeen(): Vector<'configuration'> {
  return min(minOverTime(subquery(timestamp(settled('chosen')), RANGE, RATE)), ['configuration']);
}

/** The configuration that a variable selects. */
export function configurationNamed(variable: string): Vector<'configuration'> {
  return labelReplace(vector(1), 'configuration', variable, '', '');
}

/**
 * A variable with the configurations as values, in order of time or in reverse. $__rate_interval is not
 * available there.
 */
export function configurationVariable(
  name: string,
  label: string,
  description: string,
  of: 'several' | 'first' | 'last',
): Variable {
  const firstTime = min(minOverTime(subquery(timestamp(configuration(undefined, 'all')), RANGE, '1m')), [
    'configuration',
  ]);
  return query({
    name,
    label,
    description,
    multi: of === 'several',
    query: queryResult(of === 'last' ? sortDesc(firstTime) : sort(firstTime)),
    regex: '/configuration="([^"]+)"/',
    sort: VariableSort.disabled,
  });
}
