import type { MetricDefinition } from './definition.ts';
import { buildLabels, collectorLabels, noLabels, taskLabels, vmLabels } from './label-sets.ts';

export const selfMetrics = {
  kvm_telemetry_build_info: {
    type: 'gauge',
    help: 'Version of the exporter and of Node.js; simulated="true" when it reads no live host. Always 1.',
    labels: buildLabels,
    source: 'exporter',
  },
  kvm_telemetry_collector_success: {
    type: 'gauge',
    help: '1 if this data source was read completely in this scrape, 0 if data is missing. The log and `kvm-telemetry doctor` give the reason.',
    labels: collectorLabels,
    source: 'exporter',
  },
  kvm_telemetry_collector_duration_seconds: {
    type: 'gauge',
    help: 'Time taken to read this data source in this scrape.',
    labels: collectorLabels,
    source: 'exporter',
  },
  kvm_telemetry_series: {
    type: 'gauge',
    help: 'Series in this scrape, without the series of the exporter process itself.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_series_dropped: {
    type: 'gauge',
    help: 'Series left out of this scrape because of limits.maxSeries.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_vm_series_dropped: {
    type: 'gauge',
    help: 'Series of the VM left out of this scrape because the VM exceeds its share of limits.maxSeries. Only VMs with dropped series have this series.',
    labels: vmLabels,
    source: 'exporter',
  },
} as const satisfies Record<string, MetricDefinition>;

/** Kept by prom-client for the lifetime of the exporter's process. */
export const ownMetrics = {
  kvm_telemetry_scrape_duration_seconds: {
    type: 'histogram',
    help: 'Time from the request to the end of the collection.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_inventory_duration_seconds: {
    type: 'histogram',
    help: 'Duration of each full inventory scan.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_sampler_duration_seconds: {
    type: 'histogram',
    help: 'Duration of each sampling pass over all threads.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_task_last_run_age_seconds: {
    type: 'gauge',
    help: 'Seconds since the task (inventory, memory, sampler, trace, stages) last completed without an error, by the monotonic clock.',
    labels: taskLabels,
    source: 'exporter',
  },
  kvm_telemetry_task_interval_seconds: {
    type: 'gauge',
    help: 'Longest time between two scheduled runs of the task.',
    labels: taskLabels,
    source: 'exporter',
  },
  kvm_telemetry_scrapes_coalesced_total: {
    type: 'counter',
    help: 'Scrapes that shared a collection that was already in progress.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_log_lines_dropped_total: {
    type: 'counter',
    help: 'Log lines dropped because the reader of standard output did not keep up.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_config_last_reload_successful: {
    type: 'gauge',
    help: '1 if the last configuration reload succeeded.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_config_last_reload_success_timestamp_seconds: {
    type: 'gauge',
    help: 'Unix time at which the current configuration was loaded.',
    labels: noLabels,
    source: 'exporter',
  },
} as const satisfies Record<string, MetricDefinition>;
