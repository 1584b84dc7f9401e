import { choice, counter, gauge, histogram } from './definition.ts';

/** The labels of kvm_telemetry_build_info. */
export interface Build {
  readonly version: string;
  readonly revision: string;
  /** Whether the host is a copy or a simulation. */
  readonly simulated: boolean;
}

export const selfMetrics = {
  kvm_telemetry_build_info: gauge(
    ['version', 'revision', 'nodejs', 'simulated'],
    'Version of the exporter and of Node.js; simulated="true" when it reads no live host. Always 1.',
    'exporter',
  ),
  kvm_telemetry_collector_success: gauge(
    ['collector'],
    '1 if this data source was read completely in this scrape, 0 if data is missing. The log and `kvm-telemetry doctor` give the reason.',
    'exporter',
  ),
  kvm_telemetry_collector_duration_seconds: gauge(
    ['collector'],
    'Time taken to read this data source in this scrape.',
    'exporter',
  ),
  kvm_telemetry_bpf_object_loaded: gauge(
    ['object'],
    '1 if this BPF iterator is loaded into the kernel, 0 if it could not be loaded (the exporter retries). Of `kvm-module` and `kvm` the first that loads is used. `kvm-telemetry doctor` prints the reason.',
    'exporter',
  ),
  kvm_telemetry_throttled_seconds_total: counter(
    [],
    "Time that the CPU quota of the exporter's own cgroup stopped it, summed over CPUs. Scrapes and samples are late then. Only where that cgroup has or had a quota since the exporter started; a quota of a cgroup above is not counted.",
    'cgroup v2 cpu.stat throttled_usec; v1 cpu.stat throttled_time',
    choice('after a move to another cgroup it continues by the growth of that one'),
  ),
  kvm_telemetry_memory_limit_hits_total: counter(
    ['limit'],
    "How often the memory of the exporter's own cgroup reached a limit. limit: high (MemoryHigh=), where the kernel slows the exporter and reclaims memory, or max (MemoryMax=), where it kills the exporter if it can reclaim none. Only where that cgroup has or had the limit since the exporter started; limits of a cgroup above are not counted.",
    'cgroup v2 memory.events; v1 memory.failcnt',
    choice('after a move to another cgroup it continues by the growth of that one'),
  ),
  kvm_telemetry_series: gauge(
    [],
    'Series in this scrape, without the series of the exporter process itself.',
    'exporter',
  ),
  kvm_telemetry_series_dropped: gauge(
    [],
    'Series dropped from this scrape because of limits.maxSeries.',
    'exporter',
  ),
  kvm_telemetry_vm_series_dropped: gauge(
    ['vm'],
    'Series of the VM dropped from this scrape because the VM exceeds its share of limits.maxSeries. Only VMs with dropped series have this series.',
    'exporter',
  ),
} as const;

/** Kept by prom-client for the lifetime of the exporter's process. */
export const ownMetrics = {
  kvm_telemetry_scrape_duration_seconds: histogram(
    [],
    'Time from the request to the end of the collection.',
    'exporter',
  ),
  kvm_telemetry_inventory_duration_seconds: histogram(
    [],
    'Duration of each full inventory scan.',
    'exporter',
  ),
  kvm_telemetry_sampler_duration_seconds: histogram(
    [],
    'Duration of each sampling pass over all threads.',
    'exporter',
  ),
  kvm_telemetry_task_last_run_age_seconds: gauge(
    ['task'],
    'Seconds since the task (inventory, memory, sampler, trace, stages, record, report) last completed without an error, by the monotonic clock.',
    'exporter',
  ),
  kvm_telemetry_task_interval_seconds: gauge(
    ['task'],
    'Longest time between two scheduled runs of the task.',
    'exporter',
  ),
  kvm_telemetry_scrapes_coalesced_total: counter(
    [],
    'Scrapes that shared a collection that was already in progress.',
    'exporter',
  ),
  kvm_telemetry_log_lines_dropped_total: counter(
    [],
    'Log lines dropped because the reader of standard output did not keep up.',
    'exporter',
  ),
  kvm_telemetry_config_last_reload_successful: gauge(
    [],
    '1 if the last configuration reload succeeded.',
    'exporter',
  ),
  kvm_telemetry_config_last_reload_success_timestamp_seconds: gauge(
    [],
    'Unix time at which the current configuration was loaded.',
    'exporter',
  ),
} as const;
