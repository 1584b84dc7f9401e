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
    help: 'Place of an online CPU: package, core, NUMA node, SMT siblings (a list), isolated from the scheduler or not. Always 1.',
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
    help: "Interrupts over all CPUs, of the types that tell about KVM: PIN, NPI and PIW (posted interrupts), RES, CAL, LOC; on arm64 also vgic and KVM's timers.",
    labels: interruptLabels,
    source: '/proc/interrupts',
    derived: growth('of each CPU modulo 2^32, summed; a CPU that is offline keeps what it had'),
  },
  kvm_module_parameter: {
    type: 'gauge',
    help: 'Module parameter in force; Y is 1, N is 0, each in its own unit.',
    labels: moduleParameterLabels,
    source: '/sys/module/<module>/parameters',
  },
  kvm_module_parameter_info: {
    type: 'gauge',
    help: 'Module parameter whose value is a word. Always 1.',
    labels: moduleParameterInfoLabels,
    source: '/sys/module/<module>/parameters',
  },
  kvm_lockdown_info: {
    type: 'gauge',
    help: 'Kernel lockdown: none, integrity, confidentiality, or unknown where securityfs is not mounted. Always 1.',
    labels: lockdownLabels,
    source: '/sys/kernel/security/lockdown',
  },
} as const satisfies Record<string, MetricDefinition>;
