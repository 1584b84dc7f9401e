import type { Dashboard } from '@grafana/schema';
import { pollingRegressed } from '../alerts/thresholds.ts';
import { and, compare, div, max, on, type Vector } from '../promql/promql.ts';
import { marks } from './annotations.ts';
import { configurationNamed, configurationVariable, ladderOrder } from './configurations.ts';
import { featureTimeline } from './features.ts';
import { dashboard } from './finish.ts';
import { firingAlerts } from './firing.ts';
import { seriesToVm } from './links.ts';
import { loadTable, loadWarning } from './load.ts';
import { MEASURES, type Measure } from './measures.ts';
import { BarChart } from './panels/bar-chart.ts';
import { above, type Override, type Panel } from './panels/panel.ts';
import { Stat } from './panels/stat.ts';
import { Question } from './panels/text.ts';
import { TimeSeries } from './panels/time-series.ts';
import { now, OF_VMS, rows, series } from './queries.ts';
import { configurationTimeline } from './stages.ts';
import { techniqueTimeline } from './techniques.ts';
import { choice, cluster, datasource, instance, job, vm } from './variables.ts';

/** The measure of the configuration that a variable selects. */
function inOne(measure: Measure, variable: string): Vector<never> {
  return max(and(measure.perConfiguration('all'), on('configuration'), configurationNamed(variable)), []);
}

const ofQuery = (refId: string, properties: Readonly<Record<string, unknown>>): Override => ({
  matcher: { id: 'byFrameRefID', options: refId },
  properties: Object.entries(properties).map(([id, value]) => ({ id, value })),
});

/** A smaller change than this is neither good nor bad. */
const NOTABLE = 0.05;
const [LOW, HIGH] = [1 - NOTABLE, 1 + NOTABLE];

/** Green is better and red is worse, for each measure. */
const RATIO_COLORS = {
  more: above(
    [
      [LOW, 'text'],
      [HIGH, 'green'],
    ],
    'red',
  ),
  less: above(
    [
      [LOW, 'text'],
      [HIGH, 'red'],
    ],
    'green',
  ),
} as const;

function beforeAndAfter(measure: Measure): Panel {
  const { title, help, unit, decimals, better } = measure;
  const rounded = decimals === undefined ? {} : { decimals };
  const [before, after] = [inOne(measure, '$before'), inOne(measure, '$after')];
  return new Stat({
    title,
    unit,
    ...rounded,
    width: 8,
    height: 4,
    showNames: true,
    description: `${help} Before, after, and their ratio: green if it is better, red if it is worse, from ${NOTABLE * 100}% on.`,
    queries: [
      now(before, '$before'),
      now(after, '$after'),
      now(div(after, compare(before, '>', 0)), 'ratio'),
    ],
    overrides: [
      ofQuery('C', {
        unit: 'suffix:×',
        decimals: 2,
        color: { mode: 'thresholds' },
        thresholds: { mode: 'absolute', steps: RATIO_COLORS[better] },
      }),
      ofQuery('A', { unit, color: { mode: 'fixed', fixedColor: 'text' } }),
      ofQuery('B', { unit, color: { mode: 'fixed', fixedColor: 'text' } }),
    ],
  });
}

/** Bars in the order of the ladder. */
function bars(measure: Measure): Panel {
  const { title, help, unit, decimals } = measure;
  const rounded = decimals === undefined ? {} : { decimals };
  return new BarChart({
    title,
    unit,
    ...rounded,
    color: 'blue',
    width: 8,
    height: 9,
    x: 'configuration',
    min: 0,
    turned: 0,
    description: `${help} In the order of the paper's stages, then of time.`,
    queries: [rows(measure.perConfiguration('chosen')), rows(ladderOrder())],
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
    queries: [series(measure.overTime, '{{vm}}')],
    ...(limit === undefined ? {} : { thresholds: above([[limit, 'orange']], 'transparent') }),
  });
}

export const patchEffect = (): Dashboard =>
  dashboard({
    name: 'patch-effect',
    description: "The paper's evaluation on your own VMs, by stage or declared phase.",
    variables: [
      datasource(),
      cluster(),
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
            '**Did the patch help?** Each number covers all the time that the chosen VMs were in a configuration: the phase declared with `kvm-telemetry phase set`, or the detected stage if no phase is declared. Choose VMs whose load did not change, and a time range with both configurations. A green ratio is better, a red one is worse.',
          ),
        ],
      },
      { title: 'Alerts', panels: [firingAlerts(OF_VMS)] },
      {
        title: '$before → $after',
        panels: [
          ...MEASURES.map(beforeAndAfter),
          loadWarning({ width: 8, height: 6 }),
          loadTable({ width: 16, height: 6 }),
        ],
      },
      { title: 'By configuration', panels: MEASURES.map(bars) },
      {
        title: 'Over time',
        panels: MEASURES.map((measure) =>
          lines(measure, measure.title === 'Exits per I/O' ? pollingRegressed.exitsPerIo : undefined),
        ),
      },
      {
        title: 'Configurations, techniques and features',
        panels: [
          configurationTimeline({ width: 12, height: 8 }),
          techniqueTimeline({ width: 12, height: 8 }),
          featureTimeline({ width: 24, height: 12 }),
        ],
      },
    ],
  });
