import { counter, gauge, growth } from './definition.ts';

export const hostMetrics = {
  kvm_host_info: gauge(
    ['kernel', 'cpu_model'],
    'Release of the running kernel and model of the first CPU; for arm64 implementer and part. An empty label is unknown. Always 1.',
    '/proc/sys/kernel/osrelease, /proc/cpuinfo',
  ),
  kvm_cpu_info: gauge(
    ['cpu', 'package', 'core', 'node', 'siblings', 'isolated'],
    'Topology of an online CPU: package, core, NUMA node, list of SMT siblings, and whether it is isolated from the scheduler. Always 1.',
    '/sys/devices/system/{cpu,node}',
  ),
  kvm_cpu_run_seconds_total: counter(['cpu'], 'Time that tasks ran on the CPU.', '/proc/schedstat'),
  kvm_cpu_wait_seconds_total: counter(['cpu'], 'Time that tasks waited for the CPU.', '/proc/schedstat'),
  kvm_cpu_timeslices_total: counter(['cpu'], 'Timeslices run on the CPU.', '/proc/schedstat'),
  kvm_interrupts_total: counter(
    ['type'],
    "Interrupts on all CPUs, for the types that matter to KVM: PIN, NPI and PIW (posted interrupts), RES, CAL, LOC; on arm64 also vgic and KVM's timers.",
    '/proc/interrupts',
    growth('of each CPU modulo 2^32, summed; a CPU that is offline keeps what it had'),
  ),
  kvm_module_parameter: gauge(
    ['module', 'parameter'],
    "Current value of a numeric or boolean module parameter, in the parameter's own unit. Y is 1, N is 0.",
    '/sys/module/<module>/parameters',
  ),
  kvm_module_parameter_info: gauge(
    ['module', 'parameter', 'value'],
    'Module parameter whose value is a string. Always 1.',
    '/sys/module/<module>/parameters',
  ),
  kvm_lockdown_info: gauge(
    ['mode'],
    'Kernel lockdown mode: none, integrity, confidentiality, or unknown if securityfs is not mounted. Always 1.',
    '/sys/kernel/security/lockdown',
  ),
} as const;
