import { VariableSort } from '@grafana/schema';
import {
  aggregate,
  and,
  constant,
  equal,
  gauge,
  joined,
  labelled,
  matching,
  orOn,
  past,
  queryResult,
  relabelled,
  sorted,
  subquery,
  timestamp,
  unless,
  type Vector,
} from '../promql/promql.ts';
import { OF_VMS, RANGE, RATE } from './queries.ts';
import { query, type Variable } from './variables.ts';

export const VM = ['job', 'instance', 'vm'] as const;
type Vm = (typeof VM)[number];
type Configured = Vm | 'configuration';

/** A stage is detected a minute or two after its start. This time does not count for the previous stage. */
const TOLD_LATE = '-2m';

/** The declared phase of each VM; its detected stage if no phase is declared, or if `$by` selects it. */
function configuration(ago: string | undefined, only: 'chosen' | 'all'): Vector<Configured> {
  const of = { ...OF_VMS, source: equal('detected') };
  const chosen = only === 'chosen' ? { stage: matching('$stage') } : {};
  const at = <M extends 'kvm_vm_stage_info' | 'kvm_vm_phase_info'>(name: M, matchers: object) =>
    ago === undefined ? gauge(name, matchers) : past(name, ago, matchers);
  const declared = at('kvm_vm_phase_info', { ...OF_VMS, phase: matching('$by') });
  const shown =
    only === 'chosen'
      ? and(declared, [...VM, 'phase'], at('kvm_vm_phase_info', { ...OF_VMS, phase: matching('$stage') }))
      : declared;
  const by = [...VM, 'configuration'] as const;
  return orOn(
    aggregate('max', relabelled(shown, 'phase', 'configuration'), by),
    VM,
    unless(
      aggregate(
        'max',
        relabelled(at('kvm_vm_stage_info', { ...of, ...chosen }), 'stage', 'configuration'),
        by,
      ),
      VM,
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
  const since = and(configuration(undefined, only), same, configuration(RATE, 'all'));
  return and(since, same, configuration(TOLD_LATE, 'all'));
}

/** A VM's value during each configuration: the sum of the samples, or their count. */
export function overConfigurations(
  how: 'sum' | 'count',
  value: Vector<Vm>,
  only: 'chosen' | 'all',
): Vector<Configured> {
  return subquery(how, joined(value, VM, settled(only), ['configuration']), RANGE, RATE);
}

/** The first time of each configuration. They are shown in this order. */
export function firstSeen(): Vector<'configuration'> {
  return aggregate('min', subquery('min', timestamp(settled('chosen')), RANGE, RATE), ['configuration']);
}

/** The configuration that a variable selects. */
export function called(variable: string): Vector<'configuration'> {
  return labelled(constant(1), 'configuration', variable);
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
  const seen = subquery('min', timestamp(configuration(undefined, 'all')), RANGE, '1m');
  return query({
    ...{ name, label, description, multi: of === 'several' },
    query: queryResult(sorted(aggregate('min', seen, ['configuration']), of === 'last')),
    regex: '/configuration="([^"]+)"/',
    sort: VariableSort.disabled,
  });
}
