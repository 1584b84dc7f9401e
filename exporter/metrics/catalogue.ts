import { blockMetrics } from './block.ts';
import type { MetricDefinition } from './definition.ts';
import { hostMetrics } from './host.ts';
import { statisticDefinitions, type VmStatisticMetricName } from './kvm-statistics.ts';
import { vmLabels } from './label-sets.ts';
import { ownMetrics, selfMetrics } from './self.ts';
import { threadMetrics } from './thread.ts';
import { vmMetrics } from './vm.ts';

const named = { ...vmMetrics, ...threadMetrics, ...blockMetrics, ...hostMetrics, ...selfMetrics };

type Named = typeof named;
/** Every metric that has a name of its own in this version. */
export type MetricName = keyof Named | VmStatisticMetricName;
/** The label names of a metric, as a union. */
export type LabelsOf<M extends MetricName> = M extends keyof Named ? Named[M]['labels'][number] : 'vm';

/** Every metric, once. */
export const catalogue: Readonly<Record<string, MetricDefinition>> = {
  ...named,
  ...statisticDefinitions('vm', vmLabels),
  ...ownMetrics,
};
