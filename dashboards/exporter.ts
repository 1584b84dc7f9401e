import type { Dashboard } from '@grafana/schema';
import { HOST } from '../alerts/recording.ts';
import { taskStalled } from '../alerts/thresholds.ts';
import { aggregate, dividedBy, histogramQuantile, sum, type Vector, where } from '../promql/promql.ts';
import { dashboard } from './finish.ts';
import { seriesToHost, toHost } from './links.ts';
import { above, named, type Panel, type PanelSpec } from './panels/panel.ts';
import { Stat } from './panels/stat.ts';
import { StateTimeline } from './panels/state-timeline.ts';
import { Table } from './panels/table.ts';
import { Question } from './panels/text.ts';
import { TimeSeries } from './panels/time-series.ts';
import { hostGauge, hostRate, hostRateOf, now, rows, series } from './queries.ts';
import { datasource, instance, job } from './variables.ts';

const count = (title: string, description: string, of: Vector<never>, more: Partial<PanelSpec>): Panel =>
  new Stat({
    ...{ title, description, unit: 'short', width: 4, height: 4 },
    queries: [now(of, title)],
    ...more,
  });

const third = { width: 8, height: 8, min: 0, links: [seriesToHost] } as const;
const half = { width: 12, height: 9, min: 0 } as const;

const cpuPerScrape = dividedBy(
  sum(hostRate('process_cpu_seconds_total'), HOST),
  where(sum(hostRateOf('kvm_telemetry_scrape_duration_seconds', 'count'), HOST), '>', 0),
);

const runsMissed = dividedBy(
  hostGauge('kvm_telemetry_task_last_run_age_seconds'),
  hostGauge('kvm_telemetry_task_interval_seconds'),
);

type OwnHistogram =
  | 'kvm_telemetry_scrape_duration_seconds'
  | 'kvm_telemetry_inventory_duration_seconds'
  | 'kvm_telemetry_sampler_duration_seconds';
const p99 = (name: OwnHistogram) =>
  histogramQuantile<(typeof HOST)[number]>(0.99, sum(hostRateOf(name, 'bucket'), [...HOST, 'le']));

export const exporter = (): Dashboard =>
  dashboard({
    name: 'exporter',
    description: 'Whether the exporter gives all it should, and what it costs.',
    variables: [datasource(), job(), instance()],
    rows: [
      {
        panels: [
          new Question(
            '**Can the other dashboards be trusted, and what do they cost?** A collector that fails leaves a gap elsewhere: the reason is in the log, and `kvm-telemetry doctor` on the host says what fixes it. Dropped trace events and dropped series are missing from every number; below them is the price, in CPU, memory and time of a scrape.',
          ),
        ],
      },
      {
        title: 'Now',
        panels: [
          count(
            'Exporters',
            'Exporters that answer.',
            aggregate('count', where(hostGauge('up'), '==', 1), []),
            {},
          ),
          count(
            'Failing collectors',
            'Collectors that do not give all they should.',
            aggregate('count', where(hostGauge('kvm_telemetry_collector_success'), '==', 0), []),
            {
              ...{ emptyIsGood: 'none', thresholds: above([[1, 'red']]) },
            },
          ),
          count('Series', 'Series of all exporters.', sum(hostGauge('kvm_telemetry_series'), []), {}),
          count(
            'Dropped series',
            'Series left out because of limits.maxSeries.',
            sum(hostGauge('kvm_telemetry_series_dropped'), []),
            {
              thresholds: above([[1, 'red']]),
            },
          ),
          count(
            'Dropped events',
            'Trace events a second that found a full map and were not counted.',
            sum(hostRate('kvm_telemetry_trace_dropped_total'), []),
            {
              ...{ unit: 'cps', thresholds: above([[1e-9, 'red']]) },
            },
          ),
          count('CPU', 'Cores in use by the exporters.', sum(hostRate('process_cpu_seconds_total'), []), {
            ...{ unit: 'percentunit', decimals: 1 },
          }),
        ],
      },
      {
        title: 'Collectors and tasks',
        panels: [
          new StateTimeline({
            title: 'Collector success',
            description:
              'Whether each collector gave all it should, at each scrape; the worst of the chosen hosts.',
            ...{ width: 12, height: 11, unit: 'none' },
            queries: [
              series(
                aggregate('min', hostGauge('kvm_telemetry_collector_success'), ['collector']),
                '{{collector}}',
              ),
            ],
            mappings: [named({ 0: ['failing', 'red'], 1: ['works', 'semi-dark-green'] })],
          }),
          new TimeSeries({
            title: 'Collector duration',
            description: 'Time that each collector took in a scrape; the slowest of the chosen hosts.',
            ...{ width: 12, height: 11, min: 0, unit: 's', many: true },
            queries: [
              series(
                aggregate('max', hostGauge('kvm_telemetry_collector_duration_seconds'), ['collector']),
                '{{collector}}',
              ),
            ],
          }),
          new TimeSeries({
            title: 'Age of the last run, in intervals',
            description: `Time since each task between scrapes last ran to its end, divided by the interval of its schedule; the oldest of the chosen hosts. Above ${taskStalled.intervals} it stands still.`,
            ...{ width: 24, height: 8, min: 0, unit: 'none' },
            thresholds: above([[taskStalled.intervals, 'red']], 'transparent'),
            queries: [series(aggregate('max', runsMissed, ['task']), '{{task}}')],
          }),
        ],
      },
      {
        title: 'Scrapes',
        panels: [
          new TimeSeries({
            title: 'Scrape duration as Prometheus sees it',
            description: 'Time of a scrape with the network.',
            ...{ ...third, unit: 's' },
            queries: [series(aggregate('max', hostGauge('scrape_duration_seconds'), HOST), '{{instance}}')],
          }),
          new TimeSeries({
            title: 'Collection, 99th percentile',
            description: 'Time of a collection in the exporter.',
            ...{ ...third, unit: 's' },
            queries: [series(p99('kvm_telemetry_scrape_duration_seconds'), '{{instance}}')],
          }),
          new TimeSeries({
            title: 'Series',
            description: 'Series in a scrape.',
            ...{ ...third, unit: 'short' },
            queries: [series(sum(hostGauge('kvm_telemetry_series'), HOST), '{{instance}}')],
          }),
        ],
      },
      {
        title: 'Trace events',
        panels: [
          new TimeSeries({
            title: 'Dropped events',
            description:
              'Events a second that found the map of their hist trigger full and were not counted.',
            ...{ ...third, unit: 'cps' },
            queries: [series(sum(hostRate('kvm_telemetry_trace_dropped_total'), ['set']), '{{set}}')],
          }),
          new TimeSeries({
            title: 'Entries in the fullest map',
            description: 'How full the maps of the hist triggers are.',
            ...{ ...third, unit: 'short' },
            queries: [
              series(aggregate('max', hostGauge('kvm_telemetry_trace_map_entries'), ['set']), '{{set}}'),
            ],
          }),
          new TimeSeries({
            title: 'Share of time that counts',
            description: 'Below 1 for sets under trace.dutyCycle, whose numbers are samples.',
            ...{ ...third, unit: 'percentunit', max: 1 },
            queries: [
              series(aggregate('min', hostGauge('kvm_telemetry_trace_active_ratio'), ['set']), '{{set}}'),
            ],
          }),
        ],
      },
      {
        title: 'Cost',
        panels: [
          new TimeSeries({
            title: 'CPU',
            description: 'Share of a core that the exporter uses.',
            ...{ ...third, unit: 'percentunit' },
            queries: [series(sum(hostRate('process_cpu_seconds_total'), HOST), '{{instance}}')],
          }),
          new TimeSeries({
            title: 'CPU for each scrape',
            description:
              'CPU time of the exporter for each collection, with what sampler and traces use meanwhile.',
            ...{ ...third, unit: 's' },
            queries: [series(cpuPerScrape, '{{instance}}')],
          }),
          new TimeSeries({
            title: 'Memory',
            description: 'Resident memory of the exporter.',
            ...{ ...third, unit: 'bytes' },
            queries: [series(sum(hostGauge('process_resident_memory_bytes'), HOST), '{{instance}}')],
          }),
          new TimeSeries({
            title: 'Sampler and inventory, 99th percentile',
            description: 'Time of one sample of all threads, and of one inventory of the host.',
            ...{ ...half, unit: 's', logarithmic: true },
            queries: [
              series(p99('kvm_telemetry_sampler_duration_seconds'), '{{instance}} sampler'),
              series(p99('kvm_telemetry_inventory_duration_seconds'), '{{instance}} inventory'),
            ],
          }),
          new Table({
            title: 'Versions',
            description: 'Which version runs where, since when, and whether its configuration is in force.',
            ...{ width: 12, height: 9 },
            queries: [
              rows(aggregate('max', hostGauge('kvm_telemetry_build_info'), [...HOST, 'version', 'nodejs'])),
              rows(aggregate('max', hostGauge('kvm_telemetry_trace_backend_info'), [...HOST, 'backend'])),
              rows(aggregate('min', hostGauge('kvm_telemetry_config_last_reload_successful'), HOST)),
            ],
            columns: [
              { from: 'instance', title: 'Host', links: [toHost] },
              { from: 'version', title: 'Version' },
              { from: 'nodejs', title: 'Node.js' },
              { from: 'backend', title: 'Trace backend' },
              {
                from: 'Value #C',
                title: 'Configuration',
                more: { mappings: [named({ 0: ['refused', 'red'], 1: ['in force', 'text'] })] },
              },
            ],
            ...{ sortBy: 'Host', ascending: true },
          }),
        ],
      },
    ],
  });
