/** Profiles of exported metrics, from the smallest to the largest. */
export const PROFILES = ['minimal', 'standard', 'full'] as const;
export type Profile = (typeof PROFILES)[number];

/** Whether a metric is exported, by its name. */
export type Exports = (metric: string) => boolean;

/** The metrics that the rules select, and those that identify the host, the exporter and the VMs. */
const MINIMAL: ReadonlySet<string> = new Set([
  'kvm_block_discards_completed_total',
  'kvm_block_io_now',
  'kvm_block_reads_completed_total',
  'kvm_block_writes_completed_total',
  'kvm_cpu_wait_seconds_total',
  'kvm_host_info',
  'kvm_telemetry_build_info',
  'kvm_telemetry_collector_success',
  'kvm_telemetry_config_last_reload_successful',
  'kvm_telemetry_series',
  'kvm_telemetry_series_dropped',
  'kvm_telemetry_task_interval_seconds',
  'kvm_telemetry_task_last_run_age_seconds',
  'kvm_telemetry_trace_dropped_total',
  'kvm_telemetry_vm_series_dropped',
  'kvm_thread_affinity_drift',
  'kvm_thread_cpu_seconds_total',
  'kvm_thread_run_seconds_total',
  'kvm_thread_wait_seconds_total',
  'kvm_vcpu_apicv_active',
  'kvm_vm_affinity_drift_threads',
  'kvm_vm_block_device_info',
  'kvm_vm_block_requests_total',
  'kvm_vm_disk_read_time_seconds_total',
  'kvm_vm_disk_reads_completed_total',
  'kvm_vm_disk_write_time_seconds_total',
  'kvm_vm_disk_writes_completed_total',
  'kvm_vm_exit_duration_seconds',
  'kvm_vm_exits_by_reason_total',
  'kvm_vm_exits_total',
  'kvm_vm_halt_poll_fail_seconds_total',
  'kvm_vm_halt_poll_success_seconds_total',
  'kvm_vm_info',
  'kvm_vm_io_path_events_total',
  'kvm_vm_qemu_version_info',
  'kvm_vm_queue_fairness_ratio',
  'kvm_vm_stage_info',
  'kvm_vm_state_info',
  'kvm_vm_technique_evidence_ratio',
  'kvm_vm_technique_since_timestamp_seconds',
  'kvm_vm_technique_state',
  'kvm_vm_throttled_seconds_total',
  'kvm_vm_vcpus',
  'kvm_vm_visibility',
]);

/** The other metrics that the dashboards and `compare` read. */
const STANDARD: ReadonlySet<string> = new Set([
  'kvm_block_hardware_queue_info',
  'kvm_block_hardware_queues',
  'kvm_block_info',
  'kvm_block_io_time_seconds_total',
  'kvm_block_numa_node',
  'kvm_block_read_bytes_total',
  'kvm_block_read_time_seconds_total',
  'kvm_block_write_time_seconds_total',
  'kvm_block_written_bytes_total',
  'kvm_cpu_info',
  'kvm_cpu_run_seconds_total',
  'kvm_host_pressure_seconds_total',
  'kvm_nvme_queue_affinity_info',
  'kvm_nvme_queue_interrupts_total',
  'kvm_telemetry_bpf_object_loaded',
  'kvm_telemetry_collector_duration_seconds',
  'kvm_telemetry_inventory_duration_seconds',
  'kvm_telemetry_sampler_duration_seconds',
  'kvm_telemetry_scrape_duration_seconds',
  'kvm_telemetry_trace_active_ratio',
  'kvm_telemetry_trace_backend_info',
  'kvm_telemetry_trace_cost_ratio',
  'kvm_telemetry_trace_map_entries',
  'kvm_telemetry_trace_sampled_ratio',
  'kvm_thread_allowed_cpus',
  'kvm_thread_context_switches_total',
  'kvm_thread_cpu',
  'kvm_thread_migrations_total',
  'kvm_thread_numa_node',
  'kvm_thread_observed_migrations_total',
  'kvm_virtqueue_kicks_total',
  'kvm_vm_apicv_inhibited',
  'kvm_vm_block_request_duration_seconds',
  'kvm_vm_cpu_frequency_limit_hertz',
  'kvm_vm_cpu_frequency_min_hertz',
  'kvm_vm_disk_duration_seconds',
  'kvm_vm_disk_info',
  'kvm_vm_disk_queues',
  'kvm_vm_disk_read_bytes_total',
  'kvm_vm_disk_written_bytes_total',
  'kvm_vm_feature',
  'kvm_vm_halt_attempted_poll_total',
  'kvm_vm_halt_successful_poll_total',
  'kvm_vm_halt_wait_seconds_total',
  'kvm_vm_io_completion_local_ratio',
  'kvm_vm_lock_contention_seconds_total',
  'kvm_vm_numa_local_ratio',
  'kvm_vm_phase_info',
  'kvm_vm_pressure_seconds_total',
  'kvm_vm_queue_locality_ratio',
  'kvm_vm_source_up',
  'kvm_vm_start_time_seconds',
  'kvm_vm_technique_changes_total',
]);

/** The smallest profile with the metric. KVM's statistics that this version does not know are in `full`. */
export function profileOf(metric: string): Profile {
  if (MINIMAL.has(metric)) return 'minimal';
  return STANDARD.has(metric) ? 'standard' : 'full';
}

/** The metrics of the profile and the allowed ones, without the denied ones. */
export function exportsOf(profile: Profile, allowed: readonly string[], denied: readonly string[]): Exports {
  const [more, fewer] = [new Set(allowed), new Set(denied)];
  const rank = PROFILES.indexOf(profile);
  return (metric) => !fewer.has(metric) && (more.has(metric) || PROFILES.indexOf(profileOf(metric)) <= rank);
}
