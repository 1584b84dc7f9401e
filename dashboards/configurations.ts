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
} from '../exporter/metrics/promql.ts';
import { OF_VMS, RANGE, RATE } from './queries.ts';
import { query, type Variable } from './variables.ts';

export const VM = ['job', 'instance', 'vm'] as const;
type Vm = (typeof VM)[number];
type Configured = Vm | 'configuration';

/** A stage is told a minute or two after it has begun: of that time nothing is credited to the one before. */
const TOLD_LATE = '-2m';

/** The declared phase of each VM, where none is declared (or `$by` says so) its detected stage. */
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

/** The configuration of VMs that have had it for as long as a rate looks back, and will have it until the next is told. */
function settled(only: 'chosen' | 'all'): Vector<Configured> {
  const same = [...VM, 'configuration'] as const;
  const since = and(configuration(undefined, only), same, configuration(RATE, 'all'));
  return and(since, same, configuration(TOLD_LATE, 'all'));
}

/** A VM's number over the time it was in each configuration: the sum of its values, or how many there are. */
export function overConfigurations(
  how: 'sum' | 'count',
  value: Vector<Vm>,
  only: 'chosen' | 'all',
): Vector<Configured> {
  return subquery(how, joined(value, VM, settled(only), ['configuration']), RANGE, RATE);
}

/** When each configuration was first seen: they are shown in this order. */
export function firstSeen(): Vector<'configuration'> {
  return aggregate('min', subquery('min', timestamp(settled('chosen')), RANGE, RATE), ['configuration']);
}

/** The configuration that a variable names. */
export function called(variable: string): Vector<'configuration'> {
  return labelled(constant(1), 'configuration', variable);
}

/** A variable of which the values are configurations in order of time, or against it. $__rate_interval is not known there. */
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
