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
    help: '1 when a thread is not where it should be, by kind of drift; only for threads of which is known where that is.',
    labels: vmThreadKindLabels,
    source: 'configuration, libvirt or baseline against /proc/<pid>/task/<tid>/status',
  },
  kvm_vm_affinity_drift_threads: {
    type: 'gauge',
    help: 'Threads with a drift of any kind.',
    labels: vmLabels,
    source: 'kvm_thread_affinity_drift',
  },
  kvm_vm_numa_local_ratio: {
    type: 'gauge',
    help: "Share of the VM's memory on the NUMA nodes on which its vCPUs run; read every ten minutes.",
    labels: vmLabels,
    source: '/proc/<pid>/numa_maps',
  },
  kvm_vm_io_completion_local_ratio: {
    type: 'gauge',
    help: 'Share of the CPUs on which I/O threads are whose NVMe requests complete on the same CPU, or the same NUMA node.',
    labels: vmScopeLabels,
    source: '/sys/block/<disk>/mq/<N>/cpu_list, /proc/irq/<irq>/effective_affinity_list',
  },
  kvm_vm_feature: {
    type: 'gauge',
    help: 'What of the methodology is in force, 0 or 1; absent where nothing tells. docs/sources.md has the list.',
    labels: vmFeatureLabels,
    source: 'QMP, command line, libvirt XML, threads',
  },
  kvm_vm_stage_info: {
    type: 'gauge',
    help: "The stage of the paper's methodology that a VM is in: detected, and declared where its phase names one. Always 1.",
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
    help: 'The phase that was declared with `kvm-telemetry phase set`. Always 1.',
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
    help: "Share of a virtqueue's kicks that came from its top vCPU in the last minute, over the device's queues: 1 with a queue for each vCPU, 1/n where n vCPUs take turns.",
    labels: vmDeviceLabels,
    source: 'kvm_virtqueue_kicks_total',
  },
  kvm_vm_queue_fairness_ratio: {
    type: 'gauge',
    help: "Jain's index of kicks over a device's virtqueues in the last minute: 1 where all are used alike, 1/n where one of n is used. Absent where the number of queues is not known.",
    labels: vmDeviceLabels,
    source: 'kvm_virtqueue_kicks_total',
  },
} as const satisfies Record<string, MetricDefinition>;
