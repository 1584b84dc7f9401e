import { ofVm } from '../alerts/recording.ts';
import { STAGES, type Stage } from '../exporter/metrics/stages.ts';
import { named, type Panel } from './panels/panel.ts';
import { StateTimeline } from './panels/state-timeline.ts';
import { OF_VMS, series } from './queries.ts';

const COLORS: Readonly<Record<Stage, string>> = {
  original: 'dark-red',
  affinity: 'dark-orange',
  exitless_polling: 'dark-yellow',
  parallel_batching: 'dark-green',
  pinned_queues: 'dark-blue',
};

export function stageTimeline(size: { readonly width: number; readonly height: number }): Panel {
  return new StateTimeline({
    title: 'Detected stage',
    description: 'Detected stage of each VM.',
    ...size,
    unit: 'none',
    queries: [series(ofVm.stageRank(OF_VMS), '{{vm}}')],
    mappings: [
      named(
        Object.fromEntries(STAGES.map((stage, rank) => [rank, [stage.replaceAll('_', ' '), COLORS[stage]]])),
      ),
    ],
  });
}
