import type { MetricDefinition } from './definition.ts';
import {
  vmDeviceLabels,
  vmFeatureLabels,
  vmLabels,
  vmPhaseLabels,
  vmScopeLabels,
  vmStageSourceLabels,
  vmThreadKindLabels,
} from './label-sets.ts';

export const affinityMetrics = {
  kvm_thread_affinity_drift: {
    type: 'gauge',
    help: '1 if the thread violates its expected affinity, by kind of drift. Only threads with an expected affinity have this series.',
    labels: vmThreadKindLabels,
    source: 'configuration, libvirt or baseline against /proc/<pid>/task/<tid>/status',
  },
  kvm_vm_affinity_drift_threads: {
    type: 'gauge',
    help: 'Threads with at least one kind of drift.',
    labels: vmLabels,
    source: 'kvm_thread_affinity_drift',
  },
  kvm_vm_numa_local_ratio: {
    type: 'gauge',
    help: "Share of the VM's memory that is on the NUMA nodes where its vCPUs run. Updated every ten minutes.",
    labels: vmLabels,
    source: '/proc/<pid>/numa_maps',
  },
  kvm_vm_io_completion_local_ratio: {
    type: 'gauge',
    help: "Share of the CPUs of the VM's I/O threads whose NVMe completion interrupts arrive on the same CPU or the same NUMA node, by scope.",
    labels: vmScopeLabels,
    source: '/sys/block/<disk>/mq/<N>/cpu_list, /proc/irq/<irq>/effective_affinity_list',
  },
  kvm_vm_feature: {
    type: 'gauge',
    help: "1 if the feature of the paper's methodology is active, 0 if not. Absent if unknown; docs/sources.md lists the features.",
    labels: vmFeatureLabels,
    source: 'QMP, command line, libvirt XML, threads',
  },
  kvm_vm_stage_info: {
    type: 'gauge',
    help: "The VM's stage of the paper's methodology, by source: detected, or declared by the VM's phase. Always 1.",
    labels: vmStageSourceLabels,
    source: 'kvm_vm_feature, trace events of the last minute',
  },
  kvm_vm_stage_changes_total: {
    type: 'counter',
    help: 'Changes of the detected stage.',
    labels: vmLabels,
    source: 'kvm_vm_stage_info',
  },
  kvm_vm_phase_info: {
    type: 'gauge',
    help: 'Phase declared with `kvm-telemetry phase set`. Always 1.',
    labels: vmPhaseLabels,
    source: 'phases.json in --state.dir',
  },
  kvm_vm_phase_changes_total: {
    type: 'counter',
    help: 'Changes of the declared phase.',
    labels: vmLabels,
    source: 'phases.json in --state.dir',
  },
  kvm_vm_queue_locality_ratio: {
    type: 'gauge',
    help: "Share of a virtqueue's kicks in the last minute that came from its busiest vCPU, averaged over the device's queues and weighted by kicks. 1 means one vCPU per queue, 1/n means n vCPUs share a queue equally.",
    labels: vmDeviceLabels,
    source: 'kvm_virtqueue_kicks_total',
  },
  kvm_vm_queue_fairness_ratio: {
    type: 'gauge',
    help: "Jain's fairness index of kicks over a device's virtqueues in the last minute: 1 if all are used equally, 1/n if one of n is used. Absent if the number of queues is unknown.",
    labels: vmDeviceLabels,
    source: 'kvm_virtqueue_kicks_total',
  },
} as const satisfies Record<string, MetricDefinition>;
