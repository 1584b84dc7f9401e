import type { Dashboard } from '@grafana/schema';
import { HOST } from '../alerts/recording.ts';
import { taskStalled } from '../alerts/thresholds.ts';
import { compare, count, div, histogramQuantile, max, min, regexp, sum } from '../promql/promql.ts';
import { dashboard } from './finish.ts';
import { firingAlerts } from './firing.ts';
import { seriesToHost, toHost } from './links.ts';
import { currentValue } from './panels/current-value.ts';
import { failingCollectors } from './panels/failing-collectors.ts';
import { above, named } from './panels/panel.ts';
import { StateTimeline } from './panels/state-timeline.ts';
import { Table } from './panels/table.ts';
import { Question } from './panels/text.ts';
import { TimeSeries } from './panels/time-series.ts';
import { hostGauge, hostRate, OF_HOSTS, rows, series } from './queries.ts';
import { cluster, datasource, instance, job } from './variables.ts';

const third = { width: 8, height: 8, min: 0, links: [seriesToHost] } as const;
const half = { width: 12, height: 9, min: 0 } as const;

const cpuPerScrape = div(
  sum(hostRate('process_cpu_seconds_total'), HOST),
  compare(sum(hostRate('kvm_telemetry_scrape_duration_seconds_count'), HOST), '>', 0),
);

const runsMissed = div(
  hostGauge('kvm_telemetry_task_last_run_age_seconds'),
  hostGauge('kvm_telemetry_task_interval_seconds'),
);

type OwnHistogram =
  | 'kvm_telemetry_scrape_duration_seconds'
  | 'kvm_telemetry_inventory_duration_seconds'
  | 'kvm_telemetry_sampler_duration_seconds';
const p99 = (name: OwnHistogram) =>
  histogramQuantile<(typeof HOST)[number]>(0.99, sum(hostRate(`${name}_bucket`), [...HOST, 'le']));

export const exporter = (): Dashboard =>
  dashboard({
    name: 'exporter',
    description: 'Health of the exporters, and their cost.',
    variables: [datasource(), cluster(), job(), instance()],
    rows: [
      {
        panels: [
          new Question(
            '**Can the other dashboards be trusted, and what do they cost?** A failing collector leaves gaps in other panels: the log has the reason, and `kvm-telemetry doctor` on the host prints the fix. Dropped trace events and dropped series are missing from all numbers. The last row shows the cost in CPU, memory and scrape time.',
          ),
        ],
      },
      {
        title: 'Alerts',
        panels: [firingAlerts({ ...OF_HOSTS, alertname: regexp('KvmTelemetry.+') }, { hasVm: false })],
      },
      {
        title: 'Now',
        panels: [
          currentValue(
            'Exporters',
            'Exporters that Prometheus can scrape.',
            count(compare(hostGauge('up'), '==', 1), []),
          ),
          failingCollectors('red'),
          currentValue('Series', 'Series of all exporters.', sum(hostGauge('kvm_telemetry_series'), [])),
          currentValue(
            'Dropped series',
            'Series dropped because limits.maxSeries is reached.',
            sum(hostGauge('kvm_telemetry_series_dropped'), []),
            {
              thresholds: above([[1, 'red']]),
            },
          ),
          currentValue(
            'Dropped events',
            'Trace events per second that were not counted because the map was full.',
            sum(hostRate('kvm_telemetry_trace_dropped_total'), []),
            {
              unit: 'eps',
              thresholds: above([[1e-9, 'red']]),
            },
          ),
          currentValue(
            'CPU',
            'Cores in use by the exporters.',
            sum(hostRate('process_cpu_seconds_total'), []),
            {
              unit: 'percentunit',
              decimals: 1,
            },
          ),
        ],
      },
      {
        title: 'Collectors and tasks',
        panels: [
          new StateTimeline({
            title: 'Collector success',
            description: 'Success of each collector at each scrape; the worst of the chosen hosts.',
            width: 12,
            height: 11,
            unit: 'none',
            queries: [
              series(min(hostGauge('kvm_telemetry_collector_success'), ['collector']), '{{collector}}'),
            ],
            mappings: [named({ 0: ['failing', 'red'], 1: ['works', 'semi-dark-green'] })],
          }),
          new TimeSeries({
            title: 'Collector duration',
            description: 'Duration of each collector in a scrape; the slowest of the chosen hosts.',
            width: 12,
            height: 11,
            min: 0,
            unit: 's',
            many: true,
            queries: [
              series(
                max(hostGauge('kvm_telemetry_collector_duration_seconds'), ['collector']),
                '{{collector}}',
              ),
            ],
          }),
          new TimeSeries({
            title: 'Age of the last run, in intervals',
            description: `Time since each background task last finished, divided by the interval of its schedule; the oldest of the chosen hosts. Above ${taskStalled.intervals} the task is stalled.`,
            width: 24,
            height: 8,
            min: 0,
            unit: 'none',
            thresholds: above([[taskStalled.intervals, 'red']], 'transparent'),
            queries: [series(max(runsMissed, ['task']), '{{task}}')],
          }),
        ],
      },
      {
        title: 'Scrapes',
        panels: [
          new TimeSeries({
            title: 'Scrape duration, measured by Prometheus',
            description: 'Duration of a scrape, network included.',
            ...third,
            unit: 's',
            queries: [series(max(hostGauge('scrape_duration_seconds'), HOST), '{{instance}}')],
          }),
          new TimeSeries({
            title: 'Collection, 99th percentile',
            description: 'Duration of a collection in the exporter.',
            ...third,
            unit: 's',
            queries: [series(p99('kvm_telemetry_scrape_duration_seconds'), '{{instance}}')],
          }),
          new TimeSeries({
            title: 'Series',
            description: 'Series in a scrape.',
            ...third,
            unit: 'short',
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
              'Events per second that were not counted because the map of the hist trigger was full.',
            ...third,
            unit: 'eps',
            queries: [series(sum(hostRate('kvm_telemetry_trace_dropped_total'), ['set']), '{{set}}')],
          }),
          new TimeSeries({
            title: 'Entries in the fullest map',
            description: 'Number of entries in the maps of the hist triggers.',
            ...third,
            unit: 'short',
            queries: [series(max(hostGauge('kvm_telemetry_trace_map_entries'), ['set']), '{{set}}')],
          }),
          new TimeSeries({
            title: 'Active share of trace sets',
            description:
              'Share of time that a trace set counts. Below 1 for sets that hist triggers count in windows, whose numbers are samples.',
            ...third,
            unit: 'percentunit',
            max: 1,
            queries: [series(min(hostGauge('kvm_telemetry_trace_active_ratio'), ['set']), '{{set}}')],
          }),
        ],
      },
      {
        title: 'Cost',
        panels: [
          new TimeSeries({
            title: 'CPU',
            description: 'Share of a core that the exporter uses.',
            ...third,
            unit: 'percentunit',
            queries: [series(sum(hostRate('process_cpu_seconds_total'), HOST), '{{instance}}')],
          }),
          new TimeSeries({
            title: 'CPU for each scrape',
            description:
              'CPU time of the exporter per scrape, including the sampler and the traces between scrapes.',
            ...third,
            unit: 's',
            queries: [series(cpuPerScrape, '{{instance}}')],
          }),
          new TimeSeries({
            title: 'Memory',
            description: 'Resident memory of the exporter.',
            ...third,
            unit: 'bytes',
            queries: [series(sum(hostGauge('process_resident_memory_bytes'), HOST), '{{instance}}')],
          }),
          new TimeSeries({
            title: 'Sampler and inventory, 99th percentile',
            description: 'Duration of one sample of all threads, and of one inventory of the host.',
            ...half,
            unit: 's',
            logarithmic: true,
            queries: [
              series(p99('kvm_telemetry_sampler_duration_seconds'), '{{instance}} sampler'),
              series(p99('kvm_telemetry_inventory_duration_seconds'), '{{instance}} inventory'),
            ],
          }),
          new Table({
            title: 'Versions',
            description: 'Version, trace backend and state of the configuration of each exporter.',
            width: 12,
            height: 9,
            queries: [
              rows(max(hostGauge('kvm_telemetry_build_info'), [...HOST, 'version', 'nodejs'])),
              rows(max(hostGauge('kvm_telemetry_trace_backend_info'), [...HOST, 'backend'])),
              rows(min(hostGauge('kvm_telemetry_config_last_reload_successful'), HOST)),
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
            sortBy: 'Host',
            ascending: true,
          }),
        ],
      },
    ],
  });
