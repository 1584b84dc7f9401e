import { affinityMetrics } from './affinity.ts';
import { blockMetrics } from './block.ts';
import { cgroupMetrics } from './cgroup.ts';
import { cpuMetrics } from './cpu.ts';
import type { MetricDefinition } from './definition.ts';
import { hostMetrics } from './host.ts';
import {
  statisticDefinitions,
  type VcpuStatisticMetricName,
  type VmStatisticMetricName,
} from './kvm-statistics.ts';
import { memoryMetrics } from './memory.ts';
import { networkMetrics } from './network.ts';
import { type Profile, profileOf } from './profiles.ts';
import { ownMetrics, selfMetrics } from './self.ts';
import { threadMetrics } from './thread.ts';
import { traceHistogramMetrics, traceMetrics } from './trace.ts';
import { vmMetrics } from './vm.ts';
import { histogramMetrics, vmmMetrics } from './vmm.ts';

const named = {
  ...vmMetrics,
  ...vmmMetrics,
  ...threadMetrics,
  ...blockMetrics,
  ...hostMetrics,
  ...cgroupMetrics,
  ...cpuMetrics,
  ...memoryMetrics,
  ...networkMetrics,
  ...traceMetrics,
  ...affinityMetrics,
  ...selfMetrics,
};

const histograms = { ...histogramMetrics, ...traceHistogramMetrics };

type Named = typeof named;
/** Every metric with a fixed name in this version. */
export type MetricName = keyof Named | VmStatisticMetricName | VcpuStatisticMetricName;
/** Names of the histograms. */
export type HistogramName = keyof typeof histograms;
/** Union of a metric's label names. */
export type LabelsOf<M extends MetricName | HistogramName> = M extends keyof Named
  ? Named[M]['labels'][number]
  : M extends HistogramName
    ? (typeof histograms)[M]['labels'][number]
    : M extends VcpuStatisticMetricName
      ? 'vm' | 'vcpu'
      : 'vm';

export interface CatalogueEntry extends MetricDefinition {
  /** The smallest profile with the metric. */
  readonly profile: Profile;
}

/** Every metric, exactly once. */
export const catalogue: Readonly<Record<string, CatalogueEntry>> = Object.fromEntries(
  Object.entries<MetricDefinition>({
    ...named,
    ...histograms,
    ...statisticDefinitions('vm', ['vm']),
    ...statisticDefinitions('vcpu', ['vm', 'vcpu']),
    ...ownMetrics,
  }).map(([name, definition]) => [name, { ...definition, profile: profileOf(name) }]),
);
