import { counter, difference, gauge, sampled, sum } from './definition.ts';

const POOLED = sum(
  'over the short-lived threads of a role; it keeps the counts of threads that ended or cannot be read',
);

export const threadMetrics = {
  kvm_thread_run_seconds_total: counter(
    ['vm', 'thread', 'role'],
    'Time that the thread ran on a CPU.',
    'BPF, /proc/<pid>/task/<tid>/schedstat',
    POOLED,
  ),
  kvm_thread_wait_seconds_total: counter(
    ['vm', 'thread', 'role'],
    'Time that the thread was runnable and waited for a CPU. A guest sees the wait of its vCPU as steal.',
    'BPF, /proc/<pid>/task/<tid>/schedstat',
    POOLED,
  ),
  kvm_thread_timeslices_total: counter(
    ['vm', 'thread', 'role'],
    'Timeslices that the thread ran on a CPU.',
    'BPF, /proc/<pid>/task/<tid>/schedstat',
    POOLED,
  ),
  kvm_thread_cpu_seconds_total: counter(
    ['vm', 'thread', 'role', 'mode'],
    'CPU time by mode: guest, user (without guest) and system. For a vCPU, user and system are the overhead of virtualization.',
    'BPF, /proc/<pid>/task/<tid>/stat',
    difference(
      'user is utime less guest time and never falls; guest is the rest; the three add up to the run time within a tick',
    ),
  ),
  kvm_thread_context_switches_total: counter(
    ['vm', 'thread', 'role', 'type'],
    'Context switches by type: voluntary if the thread blocked, involuntary if it was preempted.',
    'BPF, /proc/<pid>/task/<tid>/status',
    POOLED,
  ),
  kvm_thread_migrations_total: counter(
    ['vm', 'thread', 'role'],
    'Migrations to another CPU, as counted by the scheduler. Without BPF it needs CONFIG_SCHED_DEBUG.',
    'BPF, /proc/<pid>/task/<tid>/sched',
    POOLED,
  ),
  kvm_thread_observed_migrations_total: counter(
    ['vm', 'thread', 'role'],
    'Migrations to another CPU between two samples of the exporter. A lower bound, available on every kernel.',
    'sampler, BPF, /proc/<pid>/task/<tid>/stat',
    sampled('each sample that finds the thread on another CPU'),
  ),
  kvm_thread_cpu: gauge(
    ['vm', 'thread', 'role'],
    'CPU on which the thread last ran.',
    'BPF, /proc/<pid>/task/<tid>/stat',
  ),
  kvm_thread_numa_node: gauge(
    ['vm', 'thread', 'role'],
    'NUMA node of the CPU on which the thread last ran.',
    'BPF, /proc/<pid>/task/<tid>/stat, /sys/devices/system/node',
  ),
  kvm_thread_cpu_residency_seconds_total: counter(
    ['vm', 'thread', 'role', 'cpu'],
    'Time for which the CPU was the last one on which the thread ran, including time when the thread did not run. After limits.residencyCpus CPUs of a thread, further CPUs share cpu="other".',
    'sampler, BPF, /proc/<pid>/task/<tid>/stat',
    sampled('the time since the last sample goes to the CPU found now'),
  ),
  kvm_thread_allowed_cpus: gauge(
    ['vm', 'thread', 'role'],
    "Number of CPUs in the thread's affinity mask.",
    'BPF, /proc/<pid>/task/<tid>/status',
  ),
} as const;
