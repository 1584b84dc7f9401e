import type { StatisticType } from '../../probes/qmp-stats.ts';
import { catalogue } from '../metrics/catalogue.ts';
import { isKnownStatistic, type StatisticMetric, statisticMetric } from '../metrics/kvm-statistics.ts';

/** Maximum number of statistics that this version does not know. More of them indicate bad input. */
const MAX_UNKNOWN_STATISTICS = 64;

interface VcpuColumn {
  readonly name: string;
  readonly column: number;
  readonly metric: StatisticMetric;
}

/** The metric of each KVM statistic. It is the same for every source. */
export class StatisticMetrics {
  readonly #metrics = { vm: new Map<string, StatisticMetric>(), vcpu: new Map<string, StatisticMetric>() };
  readonly #unknown = { vm: 0, vcpu: 0 };
  /** Metric names of unknown statistics, because `x_ns` and `x_seconds` would map to the same name. */
  readonly #names = new Set<string>();

  /** Of the last tables. Sources that always have the same names share one array. */
  readonly #columns = new WeakMap<
    readonly string[],
    { readonly types: ReadonlyMap<string, StatisticType>; readonly columns: readonly VcpuColumn[] }
  >();

  /** The columns of a table that have a metric. */
  vcpuColumns(names: readonly string[], types: ReadonlyMap<string, StatisticType>): readonly VcpuColumn[] {
    const known = this.#columns.get(names);
    if (known?.types === types) return known.columns;
    const columns = names.flatMap((name, column) => {
      const metric = this.of('vcpu', name, types.get(name) ?? 'unknown');
      return metric === undefined ? [] : [{ name, column, metric }];
    });
    this.#columns.set(names, { types, columns });
    return columns;
  }

  /** undefined for a histogram, for unknown statistics above the limit, and if the metric name is taken. */
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
