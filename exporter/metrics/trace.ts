import { difference, type MetricDefinition, sum } from './definition.ts';
import {
  traceBackendLabels,
  traceSetLabels,
  vcpuReasonLabels,
  virtqueueInfoLabels,
  virtqueueLabels,
  vmDeviceLabels,
  vmEventLabels,
  vmLabels,
  vmMsiLabels,
  vmReasonLabels,
  vmStepLabels,
} from './label-sets.ts';

export const traceMetrics = {
  kvm_vm_trace_events_total: {
    type: 'counter',
    help: 'Events of kernel tracepoints, by event. docs/sources.md describes them.',
    labels: vmEventLabels,
    source: 'tracefs hist triggers or perf stat',
    derived: sum(
      'over threads, from maps that may restart at 0; continues with the growth of the other backend',
    ),
  },
  kvm_vm_exits_by_reason_total: {
    type: 'counter',
    help: 'VM exits by hardware exit reason, as named by the kernel.',
    labels: vmReasonLabels,
    source: 'kvm:kvm_exit',
    derived: sum('over threads, from maps that may restart at 0'),
  },
  kvm_vcpu_exits_by_reason_total: {
    type: 'counter',
    help: 'VM exits of each vCPU by reason. Requires --trace.vcpu-reasons.',
    labels: vcpuReasonLabels,
    source: 'kvm:kvm_exit',
    derived: sum('over maps that may restart at 0'),
  },
  kvm_vm_io_path_events_total: {
    type: 'counter',
    help: 'VM exits by step of the I/O path: kick, inject, eoi, halt or other.',
    labels: vmStepLabels,
    source: 'kvm:kvm_exit, kvm_fast_mmio, kvm_mmio, kvm_pio, kvm_eoi, kvm_pv_eoi',
    derived: difference('other is all exits less those of the other steps; EOIs are kvm_eoi less kvm_pv_eoi'),
  },
  kvm_virtqueue_kicks_total: {
    type: 'counter',
    help: 'Virtqueue notifications (kicks) by the vCPU that sent them. kvm_virtqueue_info identifies the queue.',
    labels: virtqueueLabels,
    source: 'kvm:kvm_fast_mmio, kvm_mmio, kvm_pio',
    derived: difference('writes to the address less those that user space served'),
  },
  kvm_virtqueue_info: {
    type: 'gauge',
    help: "Guest-physical address or port to which the notifications of a virtqueue go, and its device if the VM's monitor reports it. Always 1.",
    labels: virtqueueInfoLabels,
    source: 'kvm:kvm_fast_mmio, kvm_mmio, kvm_pio',
  },
  kvm_vm_msi_interrupts_total: {
    type: 'counter',
    help: 'Interrupts requested by MSI, by vector and destination APIC ID in the guest. Each pair is one queue until the guest moves the interrupt.',
    labels: vmMsiLabels,
    source: 'kvm:kvm_msi_set_irq',
    derived: sum('over threads, from maps that may restart at 0'),
  },
  kvm_vm_block_requests_total: {
    type: 'counter',
    help: "Requests that the VM's threads issued to a block device, after merging. Available for every VMM.",
    labels: vmDeviceLabels,
    source: 'block:block_rq_issue',
    derived: sum('over threads and over the paths of a multipath disk'),
  },
  kvm_vm_lock_contention_seconds_total: {
    type: 'counter',
    help: "Time that the VM's threads waited for contended kernel locks while the tracepoint set `lock` was active.",
    labels: vmLabels,
    source: 'lock:contention_begin, lock:contention_end',
    derived: sum('over threads, of log2 classes of time'),
  },
  kvm_telemetry_trace_backend_info: {
    type: 'gauge',
    help: 'Backend that counts trace events: tracefs or perf. Always 1.',
    labels: traceBackendLabels,
    source: 'exporter',
  },
  kvm_telemetry_trace_dropped_total: {
    type: 'counter',
    help: 'Events that were not counted because the map of their hist trigger was full.',
    labels: traceSetLabels,
    source: "tracefs hist 'Dropped'",
  },
  kvm_telemetry_trace_map_entries: {
    type: 'gauge',
    help: 'Entries in the fullest map of a tracepoint set.',
    labels: traceSetLabels,
    source: "tracefs hist 'Entries'",
  },
  kvm_telemetry_trace_active_ratio: {
    type: 'gauge',
    help: 'Share of the time since setup in which the tracepoint set counted. Below 1 for sets that trace.dutyCycle limits.',
    labels: traceSetLabels,
    source: 'exporter',
  },
} as const satisfies Record<string, MetricDefinition>;

/**
 * Sampled if trace.dutyCycle is below 1: kvm_telemetry_trace_active_ratio is the share of time that is
 * traced.
 */
export const traceHistogramMetrics = {
  kvm_vm_exit_duration_seconds: {
    type: 'histogram',
    help: 'Time from a VM exit to the next VM entry, by reason. Reasons that are not on the I/O path are in other.',
    labels: vmReasonLabels,
    source: 'kvm:kvm_exit, kvm_entry',
  },
  kvm_vm_block_request_duration_seconds: {
    type: 'histogram',
    help: "Time from issue to completion of the VM's block requests on the host.",
    labels: vmLabels,
    source: 'block:block_rq_issue, block_rq_complete',
  },
} as const satisfies Record<string, MetricDefinition>;
