import type { StatisticType } from '../../probes/qmp-stats.ts';
import { catalogue } from '../metrics/catalogue.ts';
import { isKnownStatistic, type StatisticMetric, statisticMetric } from '../metrics/kvm-statistics.ts';

/** Statistics of newer kernels that this version has no name for; more than this would be somebody's joke. */
const MAX_UNKNOWN_STATISTICS = 64;

/** The metric of each KVM statistic, the same one whichever source gives it. */
export class StatisticMetrics {
  readonly #metrics = { vm: new Map<string, StatisticMetric>(), vcpu: new Map<string, StatisticMetric>() };
  readonly #unknown = { vm: 0, vcpu: 0 };
  /** Names of the metrics of unknown statistics: `x_ns` and `x_seconds` would share one. */
  readonly #names = new Set<string>();

  /** undefined for a histogram, for one unknown statistic too many, and for one that would take another metric's name. */
  of(subject: 'vm' | 'vcpu', statistic: string, type: StatisticType): StatisticMetric | undefined {
    const metrics = this.#metrics[subject];
    const made = metrics.get(statistic);
    if (made !== undefined) return made;
    if (type === 'linear-histogram' || type === 'log2-histogram') return undefined;
    const isKnown = isKnownStatistic(statistic);
    if (!isKnown && this.#unknown[subject] >= MAX_UNKNOWN_STATISTICS) return undefined;
    const metric = statisticMetric(subject, statistic, type === 'unknown' ? 'cumulative' : type);
    if (!isKnown) {
      if (catalogue[metric.name] !== undefined || this.#names.has(metric.name)) return undefined;
      this.#names.add(metric.name);
      this.#unknown[subject]++;
    }
    metrics.set(statistic, metric);
    return metric;
  }
}
