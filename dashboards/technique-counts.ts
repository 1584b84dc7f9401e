import { recorded, type VM } from '../alerts/recording.ts';
import { TECHNIQUE_STATES } from '../exporter/metrics/techniques.ts';
import { labelReplace, mul, sum, topk, type Vector } from '../promql/promql.ts';
import { toHost, toVm } from './links.ts';
import { BarChart } from './panels/bar-chart.ts';
import { field, type Panel } from './panels/panel.ts';
import { Table } from './panels/table.ts';
import { OF_VMS, rows } from './queries.ts';
import { inWords, stateColor, stateText } from './techniques.ts';

interface Size {
  readonly width: number;
  readonly height: number;
}

/** @param counts VMs by technique and state, which are summed */
export function vmsByTechnique<L extends string>(
  size: Size,
  counts: Vector<L | 'technique' | 'state'>,
): Panel {
  return new BarChart({
    title: 'VMs by technique',
    description:
      'Number of VMs by technique of the paper and its state. docs/verdicts.md has the rules of the states.',
    ...size,
    unit: 'short',
    decimals: 0,
    min: 0,
    x: 'technique\\state',
    stacked: true,
    legend: true,
    queries: [
      rows(
        labelReplace(inWords(sum(counts, ['technique', 'state'])), 'state', '$1 $2', 'state', '(.+)_(.+)'),
      ),
    ],
    transformations: [
      { id: 'sortBy', options: { fields: {}, sort: [{ field: 'technique', desc: false }] } },
      {
        id: 'groupingToMatrix',
        options: { columnField: 'state', rowField: 'technique', valueField: 'Value', emptyValue: 'null' },
      },
    ],
    overrides: TECHNIQUE_STATES.map((state) =>
      field(stateText(state), { color: { mode: 'fixed', fixedColor: stateColor(state) } }),
    ),
  });
}

/** The techniques that were lost last. */
export function lostTechniques(
  size: Size,
  lost: Vector<(typeof VM)[number] | 'technique'> = recorded(
    'vm_technique:kvm_technique_lost_timestamp_seconds:max',
    OF_VMS,
  ),
): Panel {
  return new Table({
    title: 'Lost techniques',
    description:
      'Techniques that were in force since the VM started and are not now: the ten that were lost last.',
    ...size,
    queries: [rows(topk(10, mul(inWords(lost), 1000)))],
    columns: [
      { from: 'vm', title: 'VM', links: [toVm] },
      { from: 'instance', title: 'Host', links: [toHost] },
      { from: 'technique', title: 'Technique' },
      { from: 'Value', title: 'Lost', unit: 'dateTimeFromNow' },
    ],
    sortBy: 'Lost',
    emptyIsGood: 'No technique is lost',
  });
}
