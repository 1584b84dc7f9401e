import { SourceError, sourceError } from '../../probes/errors.ts';
import { type KvmStatisticFile, readKvmStatistic } from '../../probes/kvm-debugfs.ts';
import { readLockdown } from '../../probes/lockdown.ts';
import { vmLabels, vmSourceLabels } from '../metrics/label-sets.ts';
import { labelBlock } from '../metrics/labels.ts';
import type { Vm } from '../model/vm.ts';
import type { Collection, Collector, Report } from './collector.ts';
import type { StatisticMetrics } from './statistic-metrics.ts';

/** Each denied open writes a line into the kernel log: after a denial the counters are left alone for this long. */
const DENIED_RETRY_MS = 3_600_000;

/** KVM's statistics of each VM from debugfs: those that nobody closer to the VM gave in this scrape. */
export function kvmDebugfs(
  metrics: StatisticMetrics,
  now: () => number = () => performance.now(),
): Collector {
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

  function collectVm({ host, families, given }: Collection, vm: Vm, report: Report): void {
    const labels = labelBlock(vmLabels, [vm.label]);
    const already = given.get(vm.key);
    let count = 0;
    const write = (file: KvmStatisticFile, value: number): void => {
      const metric = metrics.of('vm', file.name, file.readOnly ? 'instant' : 'cumulative');
      if (metric !== undefined) families.addNamed(metric, labels, value / metric.divisor);
    };
    // All but a few VMs have one directory: nothing to sum.
    const sums =
      vm.directories.length > 1 ? new Map<string, { file: KvmStatisticFile; value: number }>() : undefined;
    for (const { content } of vm.directories) {
      for (const file of content.statistics) {
        if (already?.has(file.name) === true || (!file.readOnly && now() < deniedUntil)) continue;
        try {
          const value = readKvmStatistic(host, file);
          count++;
          if (sums === undefined) write(file, value);
          else sums.set(file.name, { file, value: (sums.get(file.name)?.value ?? 0) + value });
        } catch (error) {
          const problem = sourceError(error, file.path);
          // The directory outlives the inventory's last look by a moment: a dying VM, not a failure.
          if (problem.kind === 'vanished' || problem.kind === 'absent') return;
          if (problem.kind === 'denied') {
            deniedUntil = now() + DENIED_RETRY_MS;
            denial = problem;
          } else report(problem);
        }
      }
    }
    for (const { file, value } of sums?.values() ?? []) write(file, value);
    if (count > 0) families.add('kvm_vm_source_info', labelBlock(vmSourceLabels, [vm.label, 'debugfs']), 1);
  }
}
