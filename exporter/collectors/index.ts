import { CounterSets } from '../model/continued-counter.ts';
import { affinity } from './affinity.ts';
import { block } from './block.ts';
import type { Collector } from './collector.ts';
import { cpus } from './cpus.ts';
import { interrupts } from './interrupts.ts';
import { kvmDebugfs } from './kvm-debugfs.ts';
import { lockdown } from './lockdown.ts';
import { moduleParameters } from './module-parameters.ts';
import { libvirt, qmp } from './remote.ts';
import { schedstat } from './schedstat.ts';
import { StatisticMetrics } from './statistic-metrics.ts';
import type { StatisticsOptions } from './statistics-families.ts';
import { threads } from './threads.ts';
import { type TraceOptions, trace } from './trace.ts';
import { vms } from './vms.ts';

/** Names by which collectors are switched off: `--no-collector.NAME`. */
export const COLLECTOR_NAMES = [
  'vms',
  'threads',
  'qmp',
  'libvirt',
  'kvm_debugfs',
  'trace',
  'affinity',
  'block',
  'cpus',
  'schedstat',
  'interrupts',
  'module_parameters',
  'lockdown',
] as const;

export type CollectorName = (typeof COLLECTOR_NAMES)[number];

/** Read at each scrape, so that a reload takes effect without losing what a collector remembers. */
export interface CollectorOptions extends StatisticsOptions, TraceOptions {
  readonly blockExclude: RegExp;
}

/** All collectors, what matters most first: of a VM that limits.maxSeries cuts, the last ones lose. */
export function createCollectors(options: () => CollectorOptions): Collector[] {
  const metrics = new StatisticMetrics();
  // One for all sources of KVM's statistics: a counter goes on where another source gave it.
  const counters = new CounterSets();
  return [
    vms,
    threads(),
    // Read after the rest of the host, as their answers are on their way meanwhile; debugfs gives what they did not.
    qmp(metrics, counters, options),
    libvirt(metrics, counters, options),
    kvmDebugfs(metrics, counters),
    trace(options),
    affinity(),
    block(() => options().blockExclude),
    cpus,
    schedstat,
    interrupts(),
    moduleParameters,
    lockdown,
  ];
}
