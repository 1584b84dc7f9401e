import { counter, gauge, sampled } from './definition.ts';

const CPUS = 'the CPUs on which the threads of the role ran last';
const CREDITED = sampled(
  'the growth of a CPU between two readings, if a thread of the role ran last on it at both',
);

export const cpuMetrics = {
  kvm_vm_cpus: gauge(
    ['vm', 'role', 'kind'],
    'Number of CPUs on which the threads of the role ran last. kind: all; isolated (isolcpus=) and nohz_full if the host has such CPUs.',
    'BPF, /proc/<pid>/task/<tid>/stat, /sys/devices/system/cpu/{isolated,nohz_full}',
  ),
  kvm_vm_cpu_frequency_mean_hertz: gauge(
    ['vm', 'role'],
    `Mean frequency of ${CPUS}. Absent without cpufreq, as in a VM.`,
    '/sys/devices/system/cpu/cpu<n>/cpufreq/scaling_cur_freq',
  ),
  kvm_vm_cpu_frequency_min_hertz: gauge(
    ['vm', 'role'],
    `Lowest frequency of ${CPUS}.`,
    '/sys/devices/system/cpu/cpu<n>/cpufreq/scaling_cur_freq',
  ),
  kvm_vm_cpu_frequency_limit_hertz: gauge(
    ['vm', 'role'],
    `Frequency limit of the policy of the slowest of ${CPUS}.`,
    '/sys/devices/system/cpu/cpu<n>/cpufreq/scaling_max_freq',
  ),
  kvm_vm_cpu_frequency_maximum_hertz: gauge(
    ['vm', 'role'],
    `Maximum hardware frequency of the slowest of ${CPUS}.`,
    '/sys/devices/system/cpu/cpu<n>/cpufreq/cpuinfo_max_freq',
  ),
  kvm_vm_cpu_governor_cpus: gauge(
    ['vm', 'role', 'governor'],
    `Number of ${CPUS}, by frequency governor.`,
    '/sys/devices/system/cpu/cpu<n>/cpufreq/scaling_governor',
  ),
  kvm_vm_cpu_idle_seconds_total: counter(
    ['vm', 'role', 'state'],
    `Time that ${CPUS} spent in an idle state (C-state). Absent without cpuidle. Divide by kvm_vm_cpu_observed_seconds_total.`,
    '/sys/devices/system/cpu/cpu<n>/cpuidle/state<n>/time',
    CREDITED,
  ),
  kvm_vm_cpu_observed_seconds_total: counter(
    ['vm', 'role'],
    'CPU time over which kvm_vm_cpu_idle_seconds_total was counted, whether the CPUs were idle or not.',
    '/proc/uptime',
    CREDITED,
  ),
  kvm_vm_cpu_interrupts_total: counter(
    ['vm', 'role', 'type'],
    `Interrupts on ${CPUS}, for the VM or not. type: device (numbered lines), timer, ipi (RES, CAL, TLB, IPI), other (posted interrupts too).`,
    '/proc/interrupts',
    CREDITED,
  ),
  kvm_vm_scheduled_threads: gauge(
    ['vm', 'role', 'policy', 'priority'],
    'Number of threads by scheduling policy and priority: the nice value, or the real-time priority for fifo and rr.',
    'BPF, /proc/<pid>/task/<tid>/stat',
  ),
  kvm_vm_uclamp_min_ratio: gauge(
    ['vm', 'role'],
    'Lowest effective uclamp.min of the threads, as a share of the largest CPU. Absent without CONFIG_UCLAMP_TASK.',
    '/proc/<pid>/task/<tid>/sched',
  ),
  kvm_vm_uclamp_max_ratio: gauge(
    ['vm', 'role'],
    'Lowest effective uclamp.max of the threads: below 1 it keeps the frequency of their CPUs down. Absent without CONFIG_UCLAMP_TASK.',
    '/proc/<pid>/task/<tid>/sched',
  ),
  kvm_vm_ext_threads: gauge(
    ['vm', 'role'],
    'Number of threads that a BPF scheduler schedules (sched_ext). Absent on a kernel without it.',
    '/proc/<pid>/task/<tid>/sched',
  ),
  kvm_vm_core_scheduled_threads: gauge(
    ['vm', 'role'],
    'Number of threads with a core-scheduling cookie: only threads with the same cookie run beside them on their core. Absent without CONFIG_SCHED_CORE or BPF.',
    'BPF: task_struct.core_cookie',
  ),
  kvm_vm_forced_idle_seconds_total: counter(
    ['vm', 'role'],
    "Time for which core scheduling left siblings of the threads' CPUs idle. Absent without CONFIG_SCHED_CORE or with kernel.sched_schedstats=0.",
    '/proc/<pid>/task/<tid>/sched',
    { kind: 'sum', how: 'over the threads of the role; it keeps the time of threads that ended' },
  ),
  kvm_host_cpus: gauge(
    ['kind'],
    'Number of online CPUs. kind: all, isolated (isolcpus=), nohz_full.',
    '/sys/devices/system/cpu/{online,isolated,nohz_full}',
  ),
  kvm_host_irqbalance_running: gauge(
    [],
    '1 if a process irqbalance runs, which moves interrupts between CPUs.',
    '/proc/<pid>/stat',
  ),
  kvm_sched_ext_info: gauge(
    ['state', 'scheduler'],
    'BPF scheduler of the host (sched_ext): its state and its name. Absent on a kernel without sched_ext. Always 1.',
    '/sys/kernel/sched_ext',
  ),
} as const;
