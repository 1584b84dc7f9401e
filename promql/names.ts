import type { HistogramName, LabelsOf, MetricName } from '../exporter/metrics/catalogue.ts';
import type { ownMetrics } from '../exporter/metrics/self.ts';

/** Labels that Prometheus adds to each series of a target, and the one that names its cluster in a store of several. */
export type Target = 'cluster' | 'job' | 'instance';

/** Metrics of the exporter's process, kept by prom-client. */
type OwnName = keyof typeof ownMetrics;
/** Written by Prometheus at each scrape, or by prom-client's default metrics. Not in the catalogue. */
type ForeignGauge =
  | 'up'
  | 'ALERTS'
  | 'ALERTS_FOR_STATE'
  | 'scrape_duration_seconds'
  | 'scrape_samples_scraped'
  | 'process_resident_memory_bytes'
  | 'process_start_time_seconds'
  | 'process_open_fds'
  // Of VictoriaMetrics.
  | 'vm_free_disk_space_bytes'
  | 'vm_data_size_bytes';
type ForeignCounter = 'process_cpu_seconds_total' | AgentCounter;
/** Of Prometheus, vmagent and VictoriaMetrics. Those with a reason count more than losses. */
type AgentCounter =
  | 'prometheus_remote_storage_samples_failed_total'
  | 'prometheus_remote_storage_samples_dropped_total'
  | 'vmagent_remotewrite_packets_dropped_total'
  | 'vm_persistentqueue_bytes_dropped_total'
  | 'vm_rows_ignored_total'
  | `prometheus_target_scrapes_sample_${'out_of_bounds' | 'out_of_order' | 'duplicate_timestamp'}_total`;
type Histogram = HistogramName | Extract<OwnName, `${string}_duration_seconds`>;

/** The series of a histogram are counters too. */
export type CounterName =
  | Extract<MetricName | OwnName, `${string}_total`>
  | ForeignCounter
  | `${Histogram}_${'bucket' | 'sum' | 'count'}`;
export type GaugeName =
  | Exclude<MetricName | Exclude<OwnName, `${string}_duration_seconds`>, HistogramName | `${string}_total`>
  | ForeignGauge;

/** Of the alerts of this project: those of its rules, and those of their series. */
type AlertLabel =
  | 'alertname'
  | 'alertstate'
  | 'severity'
  | 'vm'
  | 'technique'
  | 'disk'
  | 'device'
  | 'role'
  | 'collector'
  | 'task'
  | 'set';

type OwnLabels<M extends string> = M extends 'ALERTS' | 'ALERTS_FOR_STATE'
  ? AlertLabel
  : M extends 'prometheus_remote_storage_samples_dropped_total' | 'vm_rows_ignored_total'
    ? 'reason'
    : M extends MetricName | HistogramName
      ? LabelsOf<M>
      : M extends OwnName
        ? (typeof ownMetrics)[M]['labels'][number]
        : never;

/** Label names of a series in Prometheus. */
export type SeriesLabels<M extends string> =
  | Target
  | (M extends `${infer H extends Histogram}_bucket`
      ? OwnLabels<H> | 'le'
      : M extends `${infer H extends Histogram}_${'sum' | 'count'}`
        ? OwnLabels<H>
        : OwnLabels<M>);
