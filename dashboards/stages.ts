import { ofVm } from '../alerts/recording.ts';
import { STAGES, type Stage } from '../exporter/metrics/stages.ts';
import { countedByConfiguration } from './configurations.ts';
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
    description:
      'Detected stage of each VM. The techniques in force may fit no stage of the paper. Gaps: a technique is unknown.',
    ...size,
    unit: 'none',
    queries: [series(ofVm.stageRank(OF_VMS), '{{vm}}')],
    mappings: [
      named({
        '-1': ['not a stage', 'dark-purple'],
        ...Object.fromEntries(
          STAGES.map((stage, rank) => [rank, [stage.replaceAll('_', ' '), COLORS[stage]]]),
        ),
      }),
    ],
  });
}

/** The configurations of Patch effect, and when they count. */
export function configurationTimeline(size: { readonly width: number; readonly height: number }): Panel {
  return new StateTimeline({
    title: 'Configurations',
    description:
      'The time that each bar counts. The first minute of a configuration and the last two are not counted.',
    ...size,
    unit: 'none',
    queries: countedByConfiguration().map((one) => series(one, '{{vm}} {{configuration}}')),
    mappings: [named({ 0: ['not counted', 'dark-orange'], 1: ['counted', 'semi-dark-green'] })],
  });
}
