import type { Dashboard } from '@grafana/schema';
import { kicksInjectionsEois, ofVm } from '../alerts/recording.ts';
import { MIN_IOPS, pollingRegressed } from '../alerts/thresholds.ts';
import {
  aggregate,
  and,
  dividedBy,
  equal,
  type Matcher,
  sum,
  times,
  type Vector,
  where,
} from '../promql/promql.ts';
import { marks } from './annotations.ts';
import { called, configurationVariable, firstSeen, overConfigurations, VM } from './configurations.ts';
import { dashboard } from './finish.ts';
import { seriesToVm } from './links.ts';
import { BarChart } from './panels/bar-chart.ts';
import { above, named, type Override, type Panel, type Unit } from './panels/panel.ts';
import { Stat } from './panels/stat.ts';
import { StateTimeline } from './panels/state-timeline.ts';
import { Question } from './panels/text.ts';
import { TimeSeries } from './panels/time-series.ts';
import { now, OF_VMS, RATE, rows, series, vmGauge } from './queries.ts';
import { stageTimeline } from './stages.ts';
import { choice, datasource, instance, job, vm } from './variables.ts';

type Vm = (typeof VM)[number];

const ios = ofVm.ios(RATE, OF_VMS);
const busy = where(ios, '>', MIN_IOPS);
const cores = sum(ofVm.cores(RATE, OF_VMS), VM);
const events = (step: Matcher): Vector<Vm> => sum(ofVm.ioPathEvents(RATE, { ...OF_VMS, step }), VM);

/** One measure of the paper's evaluation, as a ratio or as it is. */
interface Measure {
  readonly title: string;
  readonly help: string;
  readonly of: Vector<Vm>;
  readonly by?: Vector<Vm>;
  readonly factor?: number;
  readonly unit: Unit;
  readonly decimals?: number;
  readonly color: string;
}

const MEASURES: readonly Measure[] = [
  {
    title: 'I/Os per second',
    help: 'I/Os a second as the guest asked for them, mean over the time of the chosen VMs: Fig. 10 and 15.',
    ...{ of: ios, unit: 'iops', color: 'blue' },
  },
  {
    title: 'CPU',
    help: 'CPU of all threads of the VM, 100% is one core, mean over the time of the chosen VMs: Table 1.',
    ...{ of: cores, unit: 'percentunit', decimals: 0, color: 'orange' },
  },
  {
    title: 'Exits per I/O',
    help: 'Kicks, injections and EOIs for each I/O: three in the original, next to none with exitless polling (2.3.2).',
    ...{ of: events(kicksInjectionsEois.step), by: busy, unit: 'none', decimals: 2, color: 'red' },
  },
  {
    title: 'I/Os per kick',
    help: 'How many I/Os one notification of the guest brings: parallel batching and polling make it grow (4.1.1).',
    ...{ of: busy, by: events(equal('kick')), unit: 'none', decimals: 1, color: 'green' },
  },
  {
    title: 'I/Os per injection',
    help: 'How many completions one interrupt brings. Where interrupts are posted without an exit (APICv, AVIC), only the interrupts of the host are left to count, and the number says nothing of the guest.',
    ...{ of: busy, by: events(equal('inject')), unit: 'none', decimals: 1, color: 'purple' },
  },
  {
    title: 'CPU per 1,000 I/Os',
    help: 'CPU time of all threads for a thousand I/Os: less of it is what makes polling worth its cores.',
    ...{ of: cores, by: busy, factor: 1000, unit: 's', decimals: 1, color: 'yellow' },
  },
];

/** Features that changed in the time range or are enabled. */
const features = vmGauge('kvm_vm_feature');

const scaled = <L extends string>(of: Vector<L>, factor: number | undefined): Vector<L> =>
  factor === undefined ? of : times(of, factor);

/** Over time, per VM. */
function overTimeOf({ of, by, factor }: Measure): Vector<Vm> {
  return by === undefined ? of : scaled(dividedBy(of, where(by, '>', 0)), factor);
}

/**
 * By configuration. A ratio is the sum of one over the sum of the other, so that each VM and minute counts by
 * its work.
 */
function byConfiguration({ of, by, factor }: Measure, only: 'chosen' | 'all'): Vector<'configuration'> {
  const total = (how: 'sum' | 'count', value: Vector<Vm>): Vector<'configuration'> =>
    sum(overConfigurations(how, value, only), ['configuration']);
  if (by === undefined) return dividedBy(total('sum', of), total('count', of));
  const [above, below] = [total('sum', and(of, VM, by)), total('sum', and(by, VM, of))];
  return scaled(dividedBy(above, where(below, '>', 0)), factor);
}

/** The measure of the configuration that a variable selects. */
function inOne(measure: Measure, variable: string): Vector<never> {
  return aggregate('max', and(byConfiguration(measure, 'all'), ['configuration'], called(variable)), []);
}

const ofQuery = (refId: string, properties: Readonly<Record<string, unknown>>): Override => ({
  matcher: { id: 'byFrameRefID', options: refId },
  properties: Object.entries(properties).map(([id, value]) => ({ id, value })),
});

function beforeAndAfter(measure: Measure): Panel {
  const { title, help, unit, decimals } = measure;
  const rounded = decimals === undefined ? {} : { decimals };
  const [before, after] = [inOne(measure, '$before'), inOne(measure, '$after')];
  return new Stat({
    ...{ title, unit, ...rounded, width: 8, height: 4, showNames: true },
    description: `${help} Before, after, and the ratio of the two.`,
    queries: [
      now(before, '$before'),
      now(after, '$after'),
      now(dividedBy(after, where(before, '>', 0)), 'ratio'),
    ],
    overrides: [
      ofQuery('C', { unit: 'suffix:×', decimals: 2, color: { mode: 'fixed', fixedColor: measure.color } }),
      ofQuery('A', { unit, color: { mode: 'fixed', fixedColor: 'text' } }),
      ofQuery('B', { unit, color: { mode: 'fixed', fixedColor: 'text' } }),
    ],
  });
}

/** Bars in order of time. */
function bars(measure: Measure): Panel {
  const { title, help, unit, decimals, color } = measure;
  const rounded = decimals === undefined ? {} : { decimals };
  return new BarChart({
    ...{ title, unit, ...rounded, color, width: 8, height: 9, x: 'configuration', min: 0, turned: 0 },
    description: `${help} In order of time.`,
    queries: [rows(byConfiguration(measure, 'chosen')), rows(firstSeen())],
    transformations: [
      { id: 'merge', options: {} },
      { id: 'sortBy', options: { fields: {}, sort: [{ field: 'Value #B', desc: false }] } },
      { id: 'filterFieldsByName', options: { include: { names: ['configuration', 'Value #A'] } } },
      {
        id: 'organize',
        options: { excludeByName: {}, indexByName: {}, renameByName: { 'Value #A': title } },
      },
    ],
  });
}

function lines(measure: Measure, limit: number | undefined): Panel {
  const { title, help, unit } = measure;
  return new TimeSeries({
    ...{ title, unit, width: 8, height: 8, min: 0, links: [seriesToVm] },
    description: `${help} Vertical lines: the stage or the declared phase of a VM changed.`,
    queries: [series(overTimeOf(measure), '{{vm}}')],
    ...(limit === undefined ? {} : { thresholds: above([[limit, 'orange']], 'transparent') }),
  });
}

export const patchEffect = (): Dashboard =>
  dashboard({
    name: 'patch-effect',
    description: 'The evaluation of the paper on your own VMs, by stage or declared phase.',
    variables: [
      datasource(),
      job(),
      instance(),
      vm(),
      choice('by', 'Group by', 'What a configuration is.', {
        '.+': 'declared phase or else detected stage',
        '()': 'detected stage',
      }),
      configurationVariable('stage', 'Stage', 'Stages and phases that are shown.', 'several'),
      configurationVariable('before', 'Before', 'What is compared with.', 'first'),
      configurationVariable('after', 'After', 'What is compared.', 'last'),
    ],
    annotations: marks(),
    from: 'now-6h',
    rows: [
      {
        panels: [
          new Question(
            '**Did the patch help?** Each number is over all the time that the chosen VMs were in a configuration: the phase declared with `kvm-telemetry phase set`, else the detected stage. Choose VMs that did the same work throughout, and a time range that has both configurations; a ratio above 1 is good for I/Os, below 1 for CPU and exits.',
          ),
        ],
      },
      { title: '$before → $after', panels: MEASURES.map(beforeAndAfter) },
      { title: 'By configuration', panels: MEASURES.map(bars) },
      {
        title: 'Over time',
        panels: MEASURES.map((measure) =>
          lines(measure, measure.title === 'Exits per I/O' ? pollingRegressed.exitsPerIo : undefined),
        ),
      },
      {
        title: 'What was in force',
        panels: [
          stageTimeline({ width: 12, height: 8 }),
          new StateTimeline({
            title: 'Features',
            description: 'What of the methodology is in force, by VM: the whole list is in docs/sources.md.',
            ...{ width: 12, height: 8, unit: 'none' },
            queries: [series(features, '{{vm}} {{feature}}')],
            mappings: [named({ 0: ['no', 'semi-dark-red'], 1: ['yes', 'semi-dark-green'] })],
          }),
        ],
      },
    ],
  });
