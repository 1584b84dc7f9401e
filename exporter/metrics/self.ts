import type { MetricDefinition } from './definition.ts';
import { buildLabels, noLabels, probeLabels, taskLabels, vmLabels } from './label-sets.ts';

export const selfMetrics = {
  kvm_telemetry_build_info: {
    type: 'gauge',
    help: 'Version of the exporter and of Node.js; simulated="true" when it reads no live host. Always 1.',
    labels: buildLabels,
    source: 'exporter',
  },
  kvm_telemetry_probe_success: {
    type: 'gauge',
    help: '1 when the probe gave all it should in this scrape, 0 when a part is missing: the reason is in the log and in doctor.',
    labels: probeLabels,
    source: 'exporter',
  },
  kvm_telemetry_probe_duration_seconds: {
    type: 'gauge',
    help: 'Time the probe took in this scrape.',
    labels: probeLabels,
    source: 'exporter',
  },
  kvm_telemetry_series: {
    type: 'gauge',
    help: 'Series in this scrape, without those of the exporter process itself.',
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
    help: 'Series of the VM left out of this scrape, as it has more than its share of limits.maxSeries. Only for VMs that were cut.',
    labels: vmLabels,
    source: 'exporter',
  },
} as const satisfies Record<string, MetricDefinition>;

/** Kept by prom-client for the lifetime of the exporter's process. */
export const ownMetrics = {
  kvm_telemetry_scrape_duration_seconds: {
    type: 'histogram',
    help: 'Time from request to the end of the collection, for each collection.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_inventory_duration_seconds: {
    type: 'histogram',
    help: 'Time of each full pass of the inventory.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_sampler_duration_seconds: {
    type: 'histogram',
    help: 'Time of each sample of all threads.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_task_last_run_age_seconds: {
    type: 'gauge',
    help: 'Seconds since the task (inventory, stages, sampler, trace) last ran to its end without an error. By the monotonic clock: a step of the wall clock does not change it.',
    labels: taskLabels,
    source: 'exporter',
  },
  kvm_telemetry_task_interval_seconds: {
    type: 'gauge',
    help: 'The longest time between two runs of the task by its schedule.',
    labels: taskLabels,
    source: 'exporter',
  },
  kvm_telemetry_scrapes_coalesced_total: {
    type: 'counter',
    help: 'Scrapes that shared a collection already under way.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_log_lines_dropped_total: {
    type: 'counter',
    help: 'Log lines that were lost because the reader of standard output did not take them.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_config_last_reload_successful: {
    type: 'gauge',
    help: '1 when the last reload of the configuration was taken over.',
    labels: noLabels,
    source: 'exporter',
  },
  kvm_telemetry_config_last_reload_success_timestamp_seconds: {
    type: 'gauge',
    help: 'When the configuration in force was loaded, in seconds of the epoch.',
    labels: noLabels,
    source: 'exporter',
  },
} as const satisfies Record<string, MetricDefinition>;
