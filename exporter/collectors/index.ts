import { CounterSets } from '../model/continued-counter.ts';
import { affinity } from './affinity.ts';
import { block } from './block.ts';
import type { Collector } from './collector.ts';
import { cpuQuota } from './cpu-quota.ts';
import { cpuState } from './cpu-state.ts';
import { cpus } from './cpus.ts';
import { interrupts } from './interrupts.ts';
import { IoPathCpus } from './io-path-cpus.ts';
import { kvmDebugfs } from './kvm-debugfs.ts';
import { lockdown } from './lockdown.ts';
import { memory } from './memory.ts';
import { moduleParameters } from './module-parameters.ts';
import { network } from './network.ts';
import { pressure } from './pressure.ts';
import { bpf, libvirt, qmp } from './remote.ts';
import { schedstat } from './schedstat.ts';
import { scheduling } from './scheduling.ts';
import { StatisticMetrics } from './statistic-metrics.ts';
import { threads } from './threads.ts';
import { trace } from './trace.ts';
import { CgroupsOfVms } from './vm-cgroups.ts';
import { vms } from './vms.ts';

/** Names for `--no-collector.NAME`. */
export const COLLECTOR_NAMES = [
  'vms',
  'threads',
  'cpu_quota',
  'cpu_state',
  'scheduling',
  'memory',
  'qmp',
  'libvirt',
  'kvm_debugfs',
  'trace',
  'affinity',
  'block',
  'cpus',
  'schedstat',
  'interrupts',
  'pressure',
  'module_parameters',
  'lockdown',
  'network',
] as const;

/** They cost series that not everybody wants: `--collector.NAME` turns them on. */
export const OFF_BY_DEFAULT: ReadonlySet<string> = new Set(['network']);

export type CollectorName = (typeof COLLECTOR_NAMES)[number];

/** All collectors, most important first: if limits.maxSeries cuts a VM, the last collectors lose series. */
export function createCollectors(): Collector[] {
  const metrics = new StatisticMetrics();
  // Shared by all sources of KVM's statistics, so that a counter continues when its source changes.
  const counters = new CounterSets();
  const cgroups = new CgroupsOfVms();
  const ioPathCpus = new IoPathCpus();
  return [
    vms(),
    threads(),
    cpuQuota(cgroups),
    cpuState(ioPathCpus),
    scheduling(ioPathCpus),
    memory(),
    // Turned off by --bpf, not by --no-collector.
    bpf(metrics, counters),
    // Read late, because the responses arrive while the host's files are read. debugfs provides what they
    // lack.
    qmp(metrics, counters),
    libvirt(metrics, counters),
    kvmDebugfs(metrics, counters),
    trace(),
    affinity(),
    block(),
    cpus(),
    schedstat,
    interrupts(ioPathCpus),
    pressure(cgroups),
    moduleParameters,
    lockdown,
    network(),
  ];
}
