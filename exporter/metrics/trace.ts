import { counter, difference, gauge, histogram, sum } from './definition.ts';

export const traceMetrics = {
  kvm_vm_trace_events_total: counter(
    ['vm', 'event'],
    'Events of kernel tracepoints, by event. docs/sources.md describes them.',
    'BPF programs, tracefs hist triggers or perf stat',
    sum('over threads, from maps that may restart at 0; continues with the growth of the other backend'),
  ),
  kvm_vm_exits_by_reason_total: counter(
    ['vm', 'reason'],
    'VM exits by hardware exit reason, as named by the kernel.',
    'kvm:kvm_exit',
    sum('over threads, from maps that may restart at 0'),
  ),
  kvm_vcpu_exits_by_reason_total: counter(
    ['vm', 'vcpu', 'reason'],
    'VM exits of each vCPU by reason. Requires --trace.vcpu-reasons.',
    'kvm:kvm_exit',
    sum('over maps that may restart at 0'),
  ),
  kvm_vm_io_path_events_total: counter(
    ['vm', 'step'],
    'VM exits by step of the I/O path: kick, inject, eoi, halt or other.',
    'kvm:kvm_exit, kvm_fast_mmio, kvm_mmio, kvm_pio, kvm_eoi, kvm_pv_eoi',
    difference('other is all exits less those of the other steps; EOIs are kvm_eoi less kvm_pv_eoi'),
  ),
  kvm_virtqueue_kicks_total: counter(
    ['vm', 'queue', 'vcpu'],
    'Virtqueue notifications (kicks) by the vCPU that sent them. kvm_virtqueue_info identifies the queue.',
    'kvm:kvm_fast_mmio, kvm_mmio, kvm_pio',
    difference('writes to the address less those that user space served'),
  ),
  kvm_virtqueue_info: gauge(
    ['vm', 'queue', 'address', 'device'],
    "Guest-physical address or port to which the notifications of a virtqueue go, and its device if the VM's monitor reports it. With BPF also queues that were never notified. Always 1.",
    'BPF: kvm.ioeventfds; kvm:kvm_fast_mmio, kvm_mmio, kvm_pio',
  ),
  kvm_vm_msi_interrupts_total: counter(
    ['vm', 'vector', 'destination'],
    'Interrupts requested by MSI, by vector and destination APIC ID in the guest. Each pair is one queue until the guest moves the interrupt.',
    'kvm:kvm_msi_set_irq',
    sum('over threads, from maps that may restart at 0'),
  ),
  kvm_vm_block_requests_total: counter(
    ['vm', 'device'],
    "Requests that the VM's threads issued to a block device, after merging. Available for every VMM.",
    'block:block_rq_issue',
    sum('over threads and over the paths of a multipath disk'),
  ),
  kvm_vm_lock_contention_seconds_total: counter(
    ['vm'],
    "Time that the VM's threads waited for contended kernel locks while the tracepoint set `lock` was active.",
    'lock:contention_begin, lock:contention_end',
    sum('over threads, of log2 classes of time'),
  ),
  kvm_telemetry_trace_backend_info: gauge(
    ['backend'],
    'Backend that counts trace events: bpf, tracefs or perf. Always 1.',
    'exporter',
  ),
  kvm_telemetry_trace_dropped_total: counter(
    ['set'],
    'Events that were not counted because the map of their program or hist trigger was full.',
    "BPF programs, tracefs hist 'Dropped'",
  ),
  kvm_telemetry_trace_map_entries: gauge(
    ['set'],
    'Entries in the fullest map of a tracepoint set.',
    "BPF maps, tracefs hist 'Entries'",
  ),
  kvm_telemetry_trace_sampled_ratio: gauge(
    ['set'],
    'Share of the events of the last second in the sample. Below 1 the counts of the set are unbiased estimates: docs/sources.md has their error. Absent with perf, and for durations with hist triggers.',
    'exporter',
  ),
  kvm_telemetry_trace_cost_ratio: gauge(
    [],
    "Share of a CPU's time that tracing took in the last second, on the CPU with the largest share: events times the cost of an event. trace.budget limits it. BPF only.",
    'exporter',
  ),
  kvm_telemetry_trace_cost_factor: gauge(
    [],
    "Cost of an event on this host, timed by the kernel, divided by the cost in the exporter's table. If absent, the table is used. BPF only.",
    'bpf_stats',
  ),
  kvm_telemetry_trace_active_ratio: gauge(
    ['set'],
    'Share of the time since setup in which the tracepoint set counted. Below 1 for sets that hist triggers count in windows (trace.budget).',
    'exporter',
  ),
} as const;

/** With hist triggers only in windows: kvm_telemetry_trace_active_ratio is the share of time that is traced. */
export const traceHistogramMetrics = {
  kvm_vm_exit_duration_seconds: histogram(
    ['vm', 'reason'],
    'Time from a VM exit to the next VM entry, by reason. Reasons that are not on the I/O path are in other.',
    'kvm:kvm_exit, kvm_entry',
  ),
  kvm_vm_block_request_duration_seconds: histogram(
    ['vm'],
    "Time from issue to completion of the VM's block requests on the host.",
    'block:block_rq_issue, block_rq_complete',
  ),
} as const;
