import type { Dashboard } from '@grafana/schema';
import { kicksInjectionsEois, ofVm, VM } from '../alerts/recording.ts';
import { MIN_IOPS, pollingRegressed } from '../alerts/thresholds.ts';
import {
  and,
  compare,
  countOverTime,
  div,
  equal,
  type Matcher,
  max,
  mul,
  on,
  sum,
  sumOverTime,
  type Vector,
} from '../promql/promql.ts';
import { marks } from './annotations.ts';
import { byConfiguration, configurationNamed, configurationVariable, firstSeen } from './configurations.ts';
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
const busy = compare(ios, '>', MIN_IOPS);
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
    help: 'Mean I/Os per second as requested by the guest (paper, Fig. 10 and 15).',
    of: ios,
    unit: 'iops',
    color: 'blue',
  },
  {
    title: 'CPU',
    help: 'Mean CPU use of all threads of the VM (paper, Table 1). 100% is one core.',
    of: cores,
    unit: 'percentunit',
    decimals: 0,
    color: 'orange',
  },
  {
    title: 'Exits per I/O',
    help: 'Kicks, injections and EOIs per I/O: three in the original, almost none with exitless polling (paper, 2.3.2).',
    of: events(kicksInjectionsEois.step),
    by: busy,
    unit: 'none',
    decimals: 2,
    color: 'red',
  },
  {
    title: 'I/Os per kick',
    help: 'I/Os per kick of the guest. Parallel batching and polling raise it (paper, 4.1.1).',
    of: busy,
    by: events(equal('kick')),
    unit: 'none',
    decimals: 1,
    color: 'green',
  },
  {
    title: 'I/Os per injection',
    help: 'Completions per injected interrupt. With posted interrupts (APICv, AVIC) only interrupts of the host are counted, and the value does not describe the guest.',
    of: busy,
    by: events(equal('inject')),
    unit: 'none',
    decimals: 1,
    color: 'purple',
  },
  {
    title: 'CPU per 1,000 I/Os',
    help: 'CPU time of all threads per 1,000 I/Os. Polling is worth its cores if this falls.',
    of: cores,
    by: busy,
    factor: 1000,
    unit: 's',
    decimals: 1,
    color: 'yellow',
  },
];

/** Features that changed in the time range or are enabled. */
const features = vmGauge('kvm_vm_feature');

const scaled = <L extends string>(of: Vector<L>, factor: number | undefined): Vector<L> =>
  factor === undefined ? of : mul(of, factor);

/** Over time, per VM. */
function overTimeOf({ of, by, factor }: Measure): Vector<Vm> {
  return by === undefined ? of : scaled(div(of, compare(by, '>', 0)), factor);
}

/**
 * By configuration. A ratio is the sum of one over the sum of the other, so that each VM and minute counts by
 * its work.
 */
function perConfiguration({ of, by, factor }: Measure, only: 'chosen' | 'all'): Vector<'configuration'> {
  const total = (value: Vector<Vm>): Vector<'configuration'> =>
    sum(sumOverTime(byConfiguration(value, only)), ['configuration']);
  if (by === undefined)
    return div(total(of), sum(countOverTime(byConfiguration(of, only)), ['configuration']));
  const [above, below] = [total(and(of, on(...VM), by)), total(and(by, on(...VM), of))];
  return scaled(div(above, compare(below, '>', 0)), factor);
}

/** The measure of the configuration that a variable selects. */
function inOne(measure: Measure, variable: string): Vector<never> {
  return max(and(perConfiguration(measure, 'all'), on('configuration'), configurationNamed(variable)), []);
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
    title,
    unit,
    ...rounded,
    width: 8,
    height: 4,
    showNames: true,
    description: `${help} Before, after, and their ratio.`,
    queries: [
      now(before, '$before'),
      now(after, '$after'),
      now(div(after, compare(before, '>', 0)), 'ratio'),
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
    title,
    unit,
    ...rounded,
    color,
    width: 8,
    height: 9,
    x: 'configuration',
    min: 0,
    turned: 0,
    description: `${help} In order of time.`,
    queries: [rows(perConfiguration(measure, 'chosen')), rows(firstSeen())],
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
    title,
    unit,
    width: 8,
    height: 8,
    min: 0,
    links: [seriesToVm],
    description: `${help} A vertical line marks a change of a VM's stage or declared phase.`,
    queries: [series(overTimeOf(measure), '{{vm}}')],
    ...(limit === undefined ? {} : { thresholds: above([[limit, 'orange']], 'transparent') }),
  });
}

export const patchEffect = (): Dashboard =>
  dashboard({
    name: 'patch-effect',
    description: "The paper's evaluation on your own VMs, by stage or declared phase.",
    variables: [
      datasource(),
      job(),
      instance(),
      vm(),
      choice('by', 'Group by', 'Definition of a configuration.', {
        '.+': 'declared phase, or detected stage',
        '()': 'detected stage',
      }),
      configurationVariable('stage', 'Stage', 'Stages and phases to show.', 'several'),
      configurationVariable('before', 'Before', 'Reference configuration.', 'first'),
      configurationVariable('after', 'After', 'Configuration to compare.', 'last'),
    ],
    annotations: marks(),
    from: 'now-6h',
    rows: [
      {
        panels: [
          new Question(
            '**Did the patch help?** Each number covers all the time that the chosen VMs were in a configuration: the phase declared with `kvm-telemetry phase set`, or the detected stage if no phase is declared. Choose VMs whose load did not change, and a time range with both configurations. For I/Os a ratio above 1 is good, for CPU and exits one below 1.',
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
        title: 'Configurations and features',
        panels: [
          stageTimeline({ width: 12, height: 8 }),
          new StateTimeline({
            title: 'Features',
            description: "Features of the paper's methodology, by VM. docs/sources.md has the whole list.",
            width: 12,
            height: 8,
            unit: 'none',
            queries: [series(features, '{{vm}} {{feature}}')],
            mappings: [named({ 0: ['no', 'semi-dark-red'], 1: ['yes', 'semi-dark-green'] })],
          }),
        ],
      },
    ],
  });
