import { growth, type MetricDefinition } from './definition.ts';
import {
  cpuInfoLabels,
  cpuLabels,
  interruptLabels,
  lockdownLabels,
  moduleParameterInfoLabels,
  moduleParameterLabels,
} from './label-sets.ts';

export const hostMetrics = {
  kvm_cpu_info: {
    type: 'gauge',
    help: 'Topology of an online CPU: package, core, NUMA node, list of SMT siblings, and whether it is isolated from the scheduler. Always 1.',
    labels: cpuInfoLabels,
    source: '/sys/devices/system/{cpu,node}',
  },
  kvm_cpu_run_seconds_total: {
    type: 'counter',
    help: 'Time that tasks ran on the CPU.',
    labels: cpuLabels,
    source: '/proc/schedstat',
  },
  kvm_cpu_wait_seconds_total: {
    type: 'counter',
    help: 'Time that tasks waited for the CPU.',
    labels: cpuLabels,
    source: '/proc/schedstat',
  },
  kvm_cpu_timeslices_total: {
    type: 'counter',
    help: 'Timeslices run on the CPU.',
    labels: cpuLabels,
    source: '/proc/schedstat',
  },
  kvm_interrupts_total: {
    type: 'counter',
    help: "Interrupts on all CPUs, for the types that matter to KVM: PIN, NPI and PIW (posted interrupts), RES, CAL, LOC; on arm64 also vgic and KVM's timers.",
    labels: interruptLabels,
    source: '/proc/interrupts',
    derived: growth('of each CPU modulo 2^32, summed; a CPU that is offline keeps what it had'),
  },
  kvm_module_parameter: {
    type: 'gauge',
    help: "Current value of a numeric or boolean module parameter, in the parameter's own unit. Y is 1, N is 0.",
    labels: moduleParameterLabels,
    source: '/sys/module/<module>/parameters',
  },
  kvm_module_parameter_info: {
    type: 'gauge',
    help: 'Module parameter whose value is a string. Always 1.',
    labels: moduleParameterInfoLabels,
    source: '/sys/module/<module>/parameters',
  },
  kvm_lockdown_info: {
    type: 'gauge',
    help: 'Kernel lockdown mode: none, integrity, confidentiality, or unknown if securityfs is not mounted. Always 1.',
    labels: lockdownLabels,
    source: '/sys/kernel/security/lockdown',
  },
} as const satisfies Record<string, MetricDefinition>;
