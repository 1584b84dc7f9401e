import type { Dashboard } from '@grafana/schema';
import { HOST, type RecordedName, recorded, recordedLabelValues } from '../alerts/recording.ts';
import {
  exitLatency,
  exitStorm,
  ioThreadSaturated,
  pollingRegressed,
  TOP,
  vcpuStarved,
} from '../alerts/thresholds.ts';
import { STAGES } from '../exporter/metrics/stages.ts';
import {
  add,
  and,
  atEnd,
  div,
  type GaugeName,
  gauge,
  labelReplace,
  max,
  mul,
  on,
  or,
  regexp,
  type SeriesLabels,
  subquery,
  sum,
  sumOverTime,
  topk,
  type Vector,
  vector,
} from '../promql/promql.ts';
import { dashboard } from './finish.ts';
import { firingAlerts } from './firing.ts';
import { seriesToHost, toHost, toVm } from './links.ts';
import { BarChart } from './panels/bar-chart.ts';
import { currentValue } from './panels/current-value.ts';
import { above, type Panel, type Unit } from './panels/panel.ts';
import { type Column, Table } from './panels/table.ts';
import { Question } from './panels/text.ts';
import { TimeSeries } from './panels/time-series.ts';
import { OF_CLUSTERS, type Query, RANGE, RATE, rows, series } from './queries.ts';
import { lostTechniques, vmsByTechnique } from './technique-counts.ts';
import { cluster, datasource, job, stage } from './variables.ts';

/** Lines per panel and rows per table, for any number of hosts. */
const MOST = 10;
const RESOLUTION = '5m';

const events = recorded('cluster_step:kvm_io_path_events:rate', OF_CLUSTERS);
const onIoPath = recorded('cluster:kvm_io_path_events:matched_rate', OF_CLUSTERS);
const iosOnPath = recorded('cluster:kvm_ios:matched_rate', OF_CLUSTERS);
const ios = recorded('host:kvm_ios:rate', OF_CLUSTERS);
const exits = recorded('host:kvm_exits:rate', OF_CLUSTERS);
const drifting = recorded('host:kvm_drifting_vms:count', OF_CLUSTERS);
const failing = recorded('host:kvm_telemetry_failing_collectors:count', OF_CLUSTERS);

const perIo = recorded('host:kvm_io_path_events:per_io', OF_CLUSTERS);
const vms = recorded('host:kvm_vms:count', OF_CLUSTERS);

type Host = (typeof HOST)[number];

type TopHosts = Extract<RecordedName, `cluster_top_host:${string}`>;

/** The hosts of each cluster where this is highest, at each moment. */
const top = (name: TopHosts): Vector<Host> => recorded(name, OF_CLUSTERS);

const clusterGauge = <M extends GaugeName>(name: M): Vector<SeriesLabels<M>> => gauge(name, OF_CLUSTERS);

const vmsByStage = sum(recorded('cluster_stage:kvm_vms:count', { ...OF_CLUSTERS, stage: regexp('$stage') }), [
  'stage',
]);
const STAGE_RANKS: Vector<'stage'> = STAGES.map((name, rank) =>
  labelReplace(vector(rank), 'stage', name, '', ''),
).reduce((a, b) => or(a, b));

/**
 * A column of a table of hosts, without the metric's name: with it Grafana would not merge the rows of
 * different queries.
 */
const ofHosts = (of: Vector<Host>): Query => rows(max(of, HOST));

/** 0 for hosts without the series, which the table would show as empty. */
const orNone = (of: Vector<Host>): Vector<Host> => or(of, mul(vms, 0));

/**
 * The same hosts over the whole panel: those that are highest in sum over the time range. A host has no value while
 * it is not among the highest of its cluster.
 * @param resolution use a finer one for series that may exist for a few minutes only and fall between two steps
 */
function topHosts(of: Vector<Host>, resolution = RESOLUTION): Vector<Host> {
  return and(of, on(...HOST), topk(MOST, sumOverTime(atEnd(subquery(of, RANGE, resolution)))));
}

function hostLines(title: string, description: string, of: Vector<Host>, unit: Unit, limit?: number): Panel {
  return new TimeSeries({
    title,
    unit,
    width: 12,
    height: 8,
    min: 0,
    many: true,
    links: [seriesToHost],
    description: `${description} The ${MOST} hosts that are highest over the time range, where they are among the ${TOP} highest of their cluster.`,
    queries: [series(topHosts(of), '{{instance}}')],
    ...(limit === undefined ? {} : { thresholds: above([[limit, 'orange']], 'transparent') }),
  });
}

const hostColumn: Column = { from: 'instance', title: 'Host', links: [toHost] };
const clusterColumn: Column = { from: 'cluster', title: 'Cluster', width: 90 };
const vmColumn: Column = { from: 'vm', title: 'VM', links: [toVm] };

interface Offence {
  readonly title: string;
  readonly description: string;
  readonly of: Vector<Host | 'vm'>;
  readonly column: string;
  readonly unit: Unit;
  readonly limit: number;
  readonly decimals?: number;
  readonly emptyIsGood?: string;
}

function offenders({
  title,
  description,
  of,
  column,
  unit,
  limit,
  decimals = 1,
  emptyIsGood,
}: Offence): Panel {
  return new Table({
    title,
    description: `${description} The worst ${MOST} VMs at the end of the time range.`,
    width: 8,
    height: 12,
    unit,
    queries: [rows(topk(MOST, of))],
    columns: [
      vmColumn,
      hostColumn,
      clusterColumn,
      {
        from: 'Value',
        title: column,
        unit,
        decimals,
        coloured: 'text',
        width: 130,
        more: { thresholds: { mode: 'absolute', steps: above([[limit, 'red']], 'text') } },
      },
    ],
    sortBy: column,
    ...(emptyIsGood === undefined ? {} : { emptyIsGood }),
  });
}

const small = (title: string, description: string, of: Vector<never>, unit: Unit, more: object = {}): Panel =>
  currentValue(title, description, of, { unit, width: 3, ...more });

export const fleet = (): Dashboard =>
  dashboard({
    name: 'fleet',
    description: 'All hosts: exits, drift, the worst VMs, and the state of the exporters.',
    variables: [
      datasource(),
      cluster(recordedLabelValues('cluster:kvm_vms:count', 'cluster')),
      job(recordedLabelValues('cluster:kvm_vms:count', 'job', { cluster: OF_CLUSTERS.cluster })),
      stage(recordedLabelValues('cluster_stage:kvm_vms:count', 'stage', OF_CLUSTERS)),
    ],
    from: 'now-3h',
    rows: [
      {
        panels: [
          new Question(
            '**Which host or VM needs attention first?** Read the first row, then the tables. Each table lists the worst VMs of all hosts at the end of the time range, with a link. All panels query recording rules (`alerts/generated/recording.yaml`); what is of the whole fleet is summed by cluster before it is queried, which keeps it cheap with ten thousand hosts.',
          ),
        ],
      },
      {
        title: 'Now',
        panels: [
          small(
            'Hosts',
            'Hosts whose exporter Prometheus can scrape.',
            sum(recorded('cluster:kvm_hosts_up:count', OF_CLUSTERS), []),
            'short',
          ),
          small(
            'Hosts down',
            'Hosts whose exporter Prometheus cannot scrape.',
            sum(recorded('cluster:kvm_hosts_down:count', OF_CLUSTERS), []),
            'short',
            {
              emptyIsGood: 'none',
              thresholds: above([[1, 'red']]),
            },
          ),
          small('VMs', 'VMs on all hosts.', sum(recorded('cluster:kvm_vms:count', OF_CLUSTERS), []), 'short'),
          small(
            'I/Os',
            'I/Os per second of all VMs.',
            sum(recorded('cluster:kvm_ios:rate', OF_CLUSTERS), []),
            'iops',
          ),
          small(
            'Exits',
            'VM exits per second of all VMs.',
            sum(recorded('cluster:kvm_exits:rate', OF_CLUSTERS), []),
            'eps',
          ),
          small(
            'Exits per I/O',
            'Kicks, injections and EOIs per I/O over all hosts: three without polling, almost none with it.',
            div(sum(onIoPath, []), sum(iosOnPath, [])),
            'none',
            { decimals: 2, thresholds: above([[pollingRegressed.exitsPerIo, 'orange']]) },
          ),
          small(
            'Drifting VMs',
            'VMs with threads that violate their expected affinity.',
            sum(recorded('cluster:kvm_drifting_vms:count', OF_CLUSTERS), []),
            'short',
            {
              emptyIsGood: 'none',
              thresholds: above([[1, 'red']]),
            },
          ),
          small(
            'Failing collectors',
            'Collectors that fail, on all hosts.',
            sum(recorded('cluster:kvm_telemetry_failing_collectors:count', OF_CLUSTERS), []),
            'short',
            {
              emptyIsGood: 'none',
              thresholds: above([[1, 'orange']]),
            },
          ),
        ],
      },
      { title: 'Alerts', panels: [firingAlerts(OF_CLUSTERS)] },
      {
        title: 'Over time',
        panels: [
          new TimeSeries({
            title: 'Exits by step of the I/O path',
            description:
              'Exits per second of all hosts. The steps kick, inject and eoi belong to an I/O; halt and other do not.',
            width: 12,
            height: 8,
            unit: 'eps',
            stacked: true,
            min: 0,
            queries: [series(sum(events, ['step']), '{{step}}')],
          }),
          hostLines(
            'Exits per I/O',
            'Kicks, injections and EOIs per I/O.',
            top('cluster_top_host:kvm_io_path_events:per_io'),
            'none',
            pollingRegressed.exitsPerIo,
          ),
          hostLines(
            'Exit rate',
            'VM exits per second of all VMs of a host.',
            top('cluster_top_host:kvm_exits:rate'),
            'eps',
          ),
          hostLines(
            'I/Os',
            'I/Os per second of all VMs of a host.',
            top('cluster_top_host:kvm_ios:rate'),
            'iops',
          ),
          new TimeSeries({
            title: 'Drifting VMs',
            description: 'VMs with threads that violate their expected affinity, by host.',
            width: 12,
            height: 8,
            unit: 'short',
            min: 0,
            integers: true,
            many: true,
            steps: true,
            queries: [series(topHosts(top('cluster_top_host:kvm_drifting_vms:count'), RATE), '{{instance}}')],
            emptyIsGood: 'No VM drifts',
            links: [seriesToHost],
          }),
          hostLines(
            'Tasks that wait for a CPU',
            'Seconds per second that tasks of the host are runnable and wait, summed over its CPUs. 1 is one task that always waits.',
            top('cluster_top_host:kvm_cpu_wait_seconds:rate'),
            'none',
          ),
        ],
      },
      {
        title: 'Top offenders',
        panels: [
          offenders({
            title: 'Exits beyond I/O',
            column: 'Exits/s and vCPU',
            unit: 'eps',
            limit: exitStorm.perVcpu,
            description: 'Exits per second and vCPU in excess of its I/Os.',
            of: recorded('cluster_top:kvm_excess_exits:per_vcpu', OF_CLUSTERS),
          }),
          offenders({
            title: 'Exits per I/O',
            column: 'Exits per I/O',
            unit: 'none',
            decimals: 2,
            description: 'Kicks, injections and EOIs per I/O.',
            of: recorded('cluster_top:kvm_io_path_events:per_io', OF_CLUSTERS),
            limit: pollingRegressed.exitsPerIo,
          }),
          offenders({
            title: 'Slow exits',
            column: '99th percentile',
            unit: 's',
            limit: exitLatency.p99,
            description: 'The 99th percentile of the time from exit to entry, halts excluded.',
            of: recorded('cluster_top:kvm_exit_duration_seconds:p99', OF_CLUSTERS),
          }),
          offenders({
            title: 'Starved vCPUs',
            column: 'Wait',
            unit: 'percentunit',
            limit: vcpuStarved.wait,
            description:
              'Share of time that the most starved vCPU waits for a CPU. The guest sees it as steal time.',
            of: recorded('cluster_top:kvm_vcpu_wait_seconds:max_rate', OF_CLUSTERS),
          }),
          offenders({
            title: 'Busy I/O threads',
            column: 'Busy',
            unit: 'percentunit',
            limit: ioThreadSaturated.run,
            description: 'Share of time that the busiest thread of any other role than vcpu runs.',
            of: recorded('cluster_top:kvm_io_thread_run_seconds:max_rate', OF_CLUSTERS),
          }),
          offenders({
            title: 'Drift',
            column: 'Threads',
            unit: 'short',
            limit: 1,
            decimals: 0,
            description: 'Threads that violate their expected affinity.',
            of: recorded('cluster_top:kvm_drifting_threads:count', OF_CLUSTERS),
            emptyIsGood: 'No VM drifts',
          }),
        ],
      },
      {
        title: 'Techniques, stages and CPU',
        panels: [
          vmsByTechnique(
            { width: 12, height: 9 },
            recorded('cluster_technique_state:kvm_vms:count', OF_CLUSTERS),
          ),
          lostTechniques(
            { width: 12, height: 9 },
            recorded('cluster_top:kvm_technique_lost_timestamp_seconds:max', OF_CLUSTERS),
          ),
          new BarChart({
            title: 'VMs by stage',
            description:
              "Number of VMs in each detected stage, in the paper's order. Others: what is in force fits no stage.",
            width: 12,
            height: 8,
            unit: 'short',
            decimals: 0,
            x: 'stage',
            color: 'blue',
            min: 0,
            queries: [
              rows(vmsByStage),
              rows(or(and(STAGE_RANKS, on('stage'), vmsByStage), add(mul(vmsByStage, 0), STAGES.length))),
            ],
            transformations: [
              { id: 'merge', options: {} },
              { id: 'sortBy', options: { fields: {}, sort: [{ field: 'Value #B', desc: false }] } },
              { id: 'filterFieldsByName', options: { include: { names: ['stage', 'Value #A'] } } },
              {
                id: 'organize',
                options: { excludeByName: {}, indexByName: {}, renameByName: { 'Value #A': 'VMs' } },
              },
            ],
          }),
          new TimeSeries({
            title: 'CPU by role',
            description: 'Cores in use by the threads of all VMs, by role.',
            width: 12,
            height: 8,
            unit: 'suffix:cores',
            stacked: true,
            min: 0,
            queries: [
              series(sum(recorded('cluster_role:kvm_cpu_seconds:rate', OF_CLUSTERS), ['role']), '{{role}}'),
            ],
          }),
        ],
      },
      {
        title: 'Hosts and exporters',
        panels: [
          new Table({
            title: 'Hosts',
            description: 'Each host at the end of the time range, busiest first.',
            width: 24,
            height: 9,
            queries: [
              ...[vms, exits, ios, perIo, orNone(drifting), orNone(failing)].map(ofHosts),
              ofHosts(clusterGauge('scrape_duration_seconds')),
              ofHosts(clusterGauge('kvm_telemetry_series')),
            ],
            columns: [
              hostColumn,
              clusterColumn,
              { from: 'Value #A', title: 'VMs', unit: 'short', decimals: 0 },
              { from: 'Value #B', title: 'Exits', unit: 'eps' },
              { from: 'Value #C', title: 'I/Os', unit: 'iops' },
              { from: 'Value #D', title: 'Exits per I/O', unit: 'none', decimals: 2 },
              {
                from: 'Value #E',
                title: 'Drifting VMs',
                unit: 'short',
                decimals: 0,
                coloured: 'text',
                more: { thresholds: { mode: 'absolute', steps: above([[1, 'red']], 'text') } },
              },
              {
                from: 'Value #F',
                title: 'Failing collectors',
                unit: 'short',
                decimals: 0,
                coloured: 'text',
                more: { thresholds: { mode: 'absolute', steps: above([[1, 'orange']], 'text') } },
              },
              { from: 'Value #G', title: 'Scrape', unit: 's' },
              { from: 'Value #H', title: 'Series', unit: 'short' },
            ],
            sortBy: 'Exits',
          }),
          new Table({
            title: 'Versions',
            description:
              'Exporters by their version at the end of the time range. docs/fleet.md says which versions go together.',
            width: 24,
            height: 6,
            unit: 'short',
            queries: [rows(sum(recorded('cluster_version:kvm_hosts:count', OF_CLUSTERS), ['version']))],
            columns: [
              { from: 'version', title: 'Version' },
              { from: 'Value', title: 'Hosts', unit: 'short', decimals: 0 },
            ],
            sortBy: 'Hosts',
          }),
          hostLines(
            'Scrape duration',
            'Duration of a scrape as measured by Prometheus.',
            top('cluster_top_host:scrape_duration_seconds:max'),
            's',
          ),
          hostLines(
            'Series',
            'Series of an exporter.',
            top('cluster_top_host:kvm_telemetry_series:max'),
            'short',
          ),
        ],
      },
    ],
  });
