import { SourceError, sourceError } from '../../probes/errors.ts';
import { readKvmStatistic } from '../../probes/kvm-debugfs.ts';
import { readLockdown } from '../../probes/lockdown.ts';
import { catalogue } from '../metrics/catalogue.ts';
import { isKnownStatistic, type StatisticMetric, statisticMetric } from '../metrics/kvm-statistics.ts';
import { vmLabels } from '../metrics/label-sets.ts';
import { labelBlock } from '../metrics/labels.ts';
import type { Vm } from '../model/vm.ts';
import type { Collection, Collector, Report } from './collector.ts';

/** Statistics of newer kernels that this version has no name for; more than this would be somebody's joke. */
const MAX_UNKNOWN_STATISTICS = 64;
/** Each denied open writes a line into the kernel log: after a denial the counters are left alone for this long. */
const DENIED_RETRY_MS = 3_600_000;

/** KVM's statistics of each VM, from debugfs. */
export function kvmDebugfs(now: () => number = () => performance.now()): Collector {
  const metrics = new Map<string, StatisticMetric>();
  let unknown = 0;
  let deniedUntil = Number.NEGATIVE_INFINITY;
  let denial: SourceError | undefined;

  return {
    name: 'kvm_debugfs',
    async collect(collection, report) {
      const lockdown = readLockdown(collection.host);
      if (lockdown === 'integrity' || lockdown === 'confidentiality') {
        denial = new SourceError(
          'denied',
          `${collection.host.roots.debugfs}/kvm`,
          `kernel lockdown (${lockdown})`,
        );
        deniedUntil = now() + DENIED_RETRY_MS;
      } else if (lockdown === 'none') deniedUntil = Number.NEGATIVE_INFINITY;
      for (const vm of collection.vms) {
        await collection.breathe();
        collectVm(collection, vm, report);
      }
      if (denial !== undefined && now() < deniedUntil) report(denial);
    },
  };

  function collectVm({ host, families }: Collection, vm: Vm, report: Report): void {
    const labels = labelBlock(vmLabels, [vm.label]);
    const sums = new Map<string, number>();
    for (const { name: directory, content } of vm.directories) {
      for (const { name, readOnly } of content.statistics) {
        if (!readOnly && now() < deniedUntil) continue;
        try {
          sums.set(name, (sums.get(name) ?? 0) + readKvmStatistic(host, directory, name));
        } catch (error) {
          const problem = sourceError(error, directory);
          // The directory outlives the inventory's last look by a moment: a dying VM, not a failure.
          if (problem.kind === 'vanished' || problem.kind === 'absent') return;
          if (problem.kind === 'denied') {
            deniedUntil = now() + DENIED_RETRY_MS;
            denial = problem;
          } else report(problem);
        }
      }
    }
    for (const [statistic, value] of sums) {
      const metric = metricOf(statistic, vm);
      if (metric !== undefined) families.addNamed(metric, labels, value / metric.divisor);
    }
  }

  function metricOf(statistic: string, vm: Vm): StatisticMetric | undefined {
    const known = metrics.get(statistic);
    if (known !== undefined) return known;
    const isKnown = isKnownStatistic(statistic);
    if (!isKnown && unknown >= MAX_UNKNOWN_STATISTICS) return undefined;
    const readOnly = vm.directories.some(({ content }) =>
      content.statistics.some(({ name, readOnly }) => name === statistic && readOnly),
    );
    const metric = statisticMetric('vm', statistic, readOnly ? 'instant' : 'cumulative');
    // A new statistic may not take the name of a metric that means something else.
    if (!isKnown && catalogue[metric.name] !== undefined) return undefined;
    if (!isKnown) unknown++;
    metrics.set(statistic, metric);
    return metric;
  }
}
