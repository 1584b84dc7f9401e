import { counter, gauge } from './definition.ts';

export const affinityMetrics = {
  kvm_thread_affinity_drift: gauge(
    ['vm', 'thread', 'kind'],
    '1 if the thread violates its expected affinity, by kind of drift. Only threads with an expected affinity have this series.',
    'configuration, libvirt or baseline against the mask: BPF, /proc/<pid>/task/<tid>/status',
  ),
  kvm_vm_affinity_drift_threads: gauge(
    ['vm'],
    'Threads with at least one kind of drift.',
    'kvm_thread_affinity_drift',
  ),
  kvm_vm_numa_local_ratio: gauge(
    ['vm'],
    "Share of the VM's memory that is on the NUMA nodes where its vCPUs run. Updated every ten minutes.",
    '/proc/<pid>/numa_maps',
  ),
  kvm_vm_io_completion_local_ratio: gauge(
    ['vm', 'scope'],
    "Share of the CPUs of the VM's I/O threads whose NVMe completion interrupts arrive on the same CPU or the same NUMA node, by scope.",
    '/sys/block/<disk>/mq/<N>/cpu_list, /proc/irq/<irq>/effective_affinity_list',
  ),
  kvm_vm_feature: gauge(
    ['vm', 'feature'],
    "1 if the feature of the paper's methodology is active, 0 if not. Absent if unknown; docs/sources.md lists the features.",
    'QMP, command line, libvirt XML, threads',
  ),
  kvm_vm_technique_state: gauge(
    ['vm', 'technique', 'state'],
    '1 for the state of a technique of the paper in this VM, 0 for the other states: in_force, partly, lost (it was in force since the VM started), off, unknown. docs/verdicts.md has the rules.',
    'affinity masks, configuration and trace events, every inventory.schedule',
  ),
  kvm_vm_technique_since_timestamp_seconds: gauge(
    ['vm', 'technique'],
    'When the present state of the technique began, in seconds since the epoch.',
    'kvm_vm_technique_state',
  ),
  kvm_vm_technique_changes_total: counter(
    ['vm', 'technique', 'from', 'to'],
    'Changes of the state of a technique since the VM was first seen. They are kept in techniques.json in --state.dir.',
    'kvm_vm_technique_state',
  ),
  kvm_vm_technique_evidence_ratio: gauge(
    ['vm', 'technique', 'evidence'],
    'Numbers that decide the state of a technique, as last measured. Absent if not measured now; docs/verdicts.md has their thresholds.',
    'affinity masks, trace events and I/Os of the latest period with 100 I/Os',
  ),
  kvm_vm_technique_last_in_force_ratio: gauge(
    ['vm', 'technique', 'evidence'],
    'The number that decided when the technique was last in force. Absent if it never was.',
    'techniques.json in --state.dir',
  ),
  kvm_vm_technique_unknown_info: gauge(
    ['vm', 'technique', 'reason'],
    'Why the state of a technique is unknown. Always 1.',
    'kvm_vm_technique_state',
  ),
  kvm_vm_stage_info: gauge(
    ['vm', 'stage', 'source'],
    "The stage of the paper whose techniques are exactly those in force, else what is in force, in words; by source: detected, or declared by the VM's phase. Always 1. No detected stage while a technique is unknown.",
    'kvm_vm_technique_state',
  ),
  kvm_vm_phase_contradicted: gauge(
    ['vm', 'technique'],
    '1 if the declared phase includes the technique and it is not in force, else 0. Only techniques that the phase includes and whose state is known.',
    'phases.json in --state.dir, kvm_vm_technique_state',
  ),
  kvm_vm_stage_changes_total: counter(['vm'], 'Changes of the detected stage.', 'kvm_vm_stage_info'),
  kvm_vm_phase_info: gauge(
    ['vm', 'phase'],
    'Phase declared with `kvm-telemetry phase set`. Always 1.',
    'phases.json in --state.dir',
  ),
  kvm_vm_phase_changes_total: counter(['vm'], 'Changes of the declared phase.', 'phases.json in --state.dir'),
  kvm_vm_queue_locality_ratio: gauge(
    ['vm', 'device'],
    "Share of a virtqueue's kicks in the last minute that came from its busiest vCPU, averaged over the device's queues and weighted by kicks. 1 means one vCPU per queue, 1/n means n vCPUs share a queue equally.",
    'kvm_virtqueue_kicks_total',
  ),
  kvm_vm_queue_fairness_ratio: gauge(
    ['vm', 'device'],
    "Jain's fairness index of kicks over a device's virtqueues in the last minute: 1 if all are used equally, 1/n if one of n is used. Absent if the number of queues is unknown.",
    'kvm_virtqueue_kicks_total',
  ),
} as const;
