import { VM } from '../alerts/recording.ts';
import { aggregate, equal, or, times } from '../exporter/metrics/promql.ts';
import { named, type Panel } from './panels/panel.ts';
import { StateTimeline } from './panels/state-timeline.ts';
import { series, vmGauge } from './queries.ts';

/** The ladder of the methodology, in its order. */
const STAGES = {
  original: ['original', 'dark-red'],
  affinity: ['affinity', 'dark-orange'],
  exitless_polling: ['exitless polling', 'dark-yellow'],
  parallel_batching: ['parallel batching', 'dark-green'],
  pinned_queues: ['pinned queues', 'dark-blue'],
} as const;

/** The place on the ladder of each VM. */
const rank = Object.keys(STAGES)
  .map((stage, i) =>
    times(
      aggregate('max', vmGauge('kvm_vm_stage_info', { stage: equal(stage), source: equal('detected') }), VM),
      i,
    ),
  )
  .reduce((a, b) => or(b, a));

export function stageTimeline(size: { readonly width: number; readonly height: number }): Panel {
  return new StateTimeline({
    title: 'Detected stage',
    description: 'Where each VM is on the ladder of the methodology.',
    ...{ ...size, unit: 'none' },
    queries: [series(rank, '{{vm}}')],
    mappings: [named(Object.fromEntries(Object.values(STAGES).map((text, i) => [i, text])))],
  });
}
