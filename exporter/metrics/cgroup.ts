import { counter, gauge, sum } from './definition.ts';

const GROUP =
  'group: vm, a cgroup that libvirt makes below it (vcpu0, iothread1, emulator), or the path of a cgroup above it';
const CPU_STAT = '/sys/fs/cgroup/**/cpu.stat';
const CPU_MAX = '/sys/fs/cgroup/**/{cpu.max,cpu.cfs_quota_us}';
const KEPT = sum('continues if the cgroup is created again or the VM moves to another one');

export const cgroupMetrics = {
  kvm_vm_throttled_seconds_total: counter(
    ['vm', 'group'],
    `Time that a CPU quota stopped the VM, summed over CPUs. ${GROUP}. A part or a cgroup above the VM appears only if it has a quota.`,
    CPU_STAT,
    KEPT,
  ),
  kvm_vm_throttled_periods_total: counter(
    ['vm', 'group'],
    `Periods in which the cgroup used up its CPU quota. ${GROUP}.`,
    CPU_STAT,
    KEPT,
  ),
  kvm_vm_quota_periods_total: counter(
    ['vm', 'group'],
    `Periods of the CPU quota in which the cgroup had something to run. ${GROUP}.`,
    CPU_STAT,
    KEPT,
  ),
  kvm_vm_quota_seconds: gauge(
    ['vm', 'group'],
    `CPU quota: CPU time in each period, on all CPUs together. ${GROUP}. Absent without a quota.`,
    CPU_MAX,
  ),
  kvm_vm_quota_period_seconds: gauge(
    ['vm', 'group'],
    `Period of the CPU quota. ${GROUP}. Absent without a quota.`,
    CPU_MAX,
  ),
  kvm_vm_pressure_seconds_total: counter(
    ['vm', 'resource', 'kind'],
    "Stall time of the VM's cgroup (PSI) for cpu, io, memory and irq. kind: some (a task waited) or full (all waited). cgroup v2 only; absent if VMs share the cgroup.",
    '/sys/fs/cgroup/**/{cpu,io,memory,irq}.pressure',
    KEPT,
  ),
  kvm_host_pressure_seconds_total: counter(
    ['resource', 'kind'],
    'Stall time of the host (PSI) for cpu, io, memory and irq. kind: some (a task waited) or full (all waited).',
    '/proc/pressure',
  ),
} as const;
