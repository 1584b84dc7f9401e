import { difference, type MetricDefinition, sampled, sum } from './definition.ts';
import { threadCpuLabels, threadLabels, threadModeLabels, threadSwitchLabels } from './label-sets.ts';

const POOLED = sum(
  'of threads that come and go, by role: what one had stays after it ends, and while it cannot be read',
);

export const threadMetrics = {
  kvm_thread_run_seconds_total: {
    type: 'counter',
    help: 'Time that the thread ran on a CPU.',
    labels: threadLabels,
    source: '/proc/<pid>/task/<tid>/schedstat',
    derived: POOLED,
  },
  kvm_thread_wait_seconds_total: {
    type: 'counter',
    help: 'Time that the thread was runnable and waited for a CPU. A guest sees the wait of its vCPU as steal.',
    labels: threadLabels,
    source: '/proc/<pid>/task/<tid>/schedstat',
    derived: POOLED,
  },
  kvm_thread_timeslices_total: {
    type: 'counter',
    help: 'Timeslices that the thread ran on a CPU.',
    labels: threadLabels,
    source: '/proc/<pid>/task/<tid>/schedstat',
    derived: POOLED,
  },
  kvm_thread_cpu_seconds_total: {
    type: 'counter',
    help: 'CPU time by mode: guest, user (without guest) and system. For a vCPU, user and system are the overhead of virtualization.',
    labels: threadModeLabels,
    source: '/proc/<pid>/task/<tid>/stat',
    derived: difference(
      'user is utime less guest time, and never falls: guest gets what is left; the three add up to the run time within a tick',
    ),
  },
  kvm_thread_context_switches_total: {
    type: 'counter',
    help: 'Context switches by type: voluntary if the thread blocked, involuntary if it was preempted.',
    labels: threadSwitchLabels,
    source: '/proc/<pid>/task/<tid>/status',
    derived: POOLED,
  },
  kvm_thread_migrations_total: {
    type: 'counter',
    help: 'Migrations to another CPU, as counted by the scheduler. Absent without CONFIG_SCHED_DEBUG.',
    labels: threadLabels,
    source: '/proc/<pid>/task/<tid>/sched',
    derived: POOLED,
  },
  kvm_thread_observed_migrations_total: {
    type: 'counter',
    help: 'Migrations to another CPU between two samples of the exporter. A lower bound, available on every kernel.',
    labels: threadLabels,
    source: 'sampler, /proc/<pid>/task/<tid>/stat',
    derived: sampled('each sample that finds the thread on another CPU'),
  },
  kvm_thread_cpu: {
    type: 'gauge',
    help: 'CPU on which the thread last ran.',
    labels: threadLabels,
    source: '/proc/<pid>/task/<tid>/stat',
  },
  kvm_thread_numa_node: {
    type: 'gauge',
    help: 'NUMA node of the CPU on which the thread last ran.',
    labels: threadLabels,
    source: '/proc/<pid>/task/<tid>/stat, /sys/devices/system/node',
  },
  kvm_thread_cpu_residency_seconds_total: {
    type: 'counter',
    help: 'Time for which the CPU was the last one on which the thread ran, including time when the thread did not run. After limits.residencyCpus CPUs of a thread, further CPUs share cpu="other".',
    labels: threadCpuLabels,
    source: 'sampler, /proc/<pid>/task/<tid>/stat',
    derived: sampled('the time since the last sample goes to the CPU found now'),
  },
  kvm_thread_allowed_cpus: {
    type: 'gauge',
    help: "Number of CPUs in the thread's affinity mask.",
    labels: threadLabels,
    source: '/proc/<pid>/task/<tid>/status',
  },
} as const satisfies Record<string, MetricDefinition>;
