import dashgen from 'grafana-dash-gen';
import { VM } from '../alerts/recording.ts';
import {
  and,
  equal,
  type GaugeName,
  gaugeOffset,
  lastOverTime,
  type Matchers,
  on,
  type SeriesLabels,
  subquery,
  unless,
  type Vector,
} from '../promql/promql.ts';
import { DATASOURCE } from './panels/panel.ts';
import { OF_VMS, vmGauge } from './queries.ts';

/** Marks all panels over time at the start of each series that the query returns. */
class PrometheusAnnotation extends dashgen.Annotations.Graphite {
  constructor(
    private readonly mark: {
      readonly name: string;
      readonly color: string;
      readonly expr: string;
      readonly text: string;
      readonly tags: string;
      readonly isShown: boolean;
    },
  ) {
    super({ name: mark.name, target: mark.expr });
  }

  override generate(): ReturnType<InstanceType<typeof dashgen.Annotations.Graphite>['generate']> {
    const { name, color, expr, text, tags, isShown } = this.mark;
    return {
      name,
      datasource: DATASOURCE,
      enable: isShown,
      iconColor: color,
      hide: false,
      expr,
      step: '15s',
      titleFormat: name,
      textFormat: text,
      tagKeys: tags,
      useValueForTime: false,
    } as unknown as ReturnType<InstanceType<typeof dashgen.Annotations.Graphite>['generate']>;
  }
}

/** A VM that starts again has no stage until its techniques are measured. */
const GAP = '2m';

/**
 * Series that did not exist within two minutes before, of VMs that had another one then. The first series of a
 * VM is not a change.
 */
function changed<M extends 'kvm_vm_stage_info' | 'kvm_vm_phase_info', L extends SeriesLabels<M>>(
  name: M & GaugeName,
  label: L,
  more: Matchers<SeriesLabels<M>>,
): Vector<(typeof VM)[number]> {
  const now = vmGauge(name, more) as Vector<string>;
  const earlier = gaugeOffset(name, '$__interval', { ...OF_VMS, ...more }) as Vector<string>;
  const before = lastOverTime(subquery(earlier, GAP, '15s'));
  const isNew = unless(now, on(...VM, label), before);
  return and(isNew, on(...VM), before) as Vector<(typeof VM)[number]>;
}

/** @param isShown false if the user must switch the marks on, for dashboards of many VMs */
export function marks(isShown = true): InstanceType<typeof dashgen.Annotations.Graphite>[] {
  return [
    new PrometheusAnnotation({
      name: 'Stage',
      color: 'light-blue',
      text: '{{vm}} is in stage {{stage}}',
      tags: 'vm,stage',
      isShown,
      expr: changed('kvm_vm_stage_info', 'stage', { source: equal('detected') }).promql,
    }),
    new PrometheusAnnotation({
      name: 'Phase',
      color: 'light-purple',
      text: '{{vm}} has phase {{phase}}',
      tags: 'vm,phase',
      isShown,
      expr: changed('kvm_vm_phase_info', 'phase', {}).promql,
    }),
  ];
}
