import { getOrInsert } from '../../kernel/maps.ts';
import { SourceError, sourceError } from '../../probes/errors.ts';
import { type KvmStatisticFile, readKvmStatistic } from '../../probes/kvm-debugfs.ts';
import { readLockdown } from '../../probes/lockdown.ts';
import type { CounterSets } from '../model/continued-counter.ts';
import type { Vm } from '../model/vm.ts';
import type { Collection, Collector, Report } from './collector.ts';
import type { StatisticMetrics } from './statistic-metrics.ts';
import { DISTURBED } from './statistics-families.ts';

/**
 * Each denied open adds a line to the kernel log, so the counters are not read for this long after a denial.
 */
const DENIED_RETRY_MS = 3_600_000;

/** KVM's statistics of each VM from debugfs. Only those that no other source provided in this scrape. */
export function kvmDebugfs(
  metrics: StatisticMetrics,
  counters: CounterSets,
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
      counters.keep(collection.vms.map(({ key }) => key));
      for (const vm of collection.vms) {
        await collection.yieldIfDue();
        collectVm(collection, vm, report);
      }
      // BPF reads all that is denied here.
      if (denial !== undefined && now() < deniedUntil && !collection.kernel.works) report(denial);
    },
  };

  function collectVm({ host, families, written }: Collection, vm: Vm, report: Report): void {
    const labels = families.block({ vm: vm.label });
    const already = written.get(vm.key);
    /** Values per directory, by name of the statistic. Nearly all VMs have one directory. */
    const found = new Map<string, { file: KvmStatisticFile; parts: [string, number][] }>();
    for (const { name: directory, content } of vm.directories) {
      for (const file of content.statistics) {
        if (already?.has(file.name) === true || (!file.readOnly && now() < deniedUntil)) continue;
        try {
          const part: [string, number] = [directory, readKvmStatistic(host, file)];
          getOrInsert(found, file.name, () => ({ file, parts: [] })).parts.push(part);
        } catch (error) {
          const problem = sourceError(error, file.path);
          // debugfs still lists the VM although it is exiting, which is not an error.
          if (problem.kind === 'vanished' || problem.kind === 'absent') return;
          if (problem.kind === 'denied') {
            deniedUntil = now() + DENIED_RETRY_MS;
            denial = problem;
          } else report(problem);
        }
      }
    }
    for (const { file, parts } of found.values()) {
      const metric = metrics.of('vm', file.name, file.readOnly ? 'instant' : 'cumulative');
      if (metric === undefined) continue;
      const value =
        metric.type === 'counter'
          ? counters.of(vm.key).take(metric.name, 'debugfs', parts)
          : parts.reduce((sum, [, reading]) => sum + reading, 0);
      families.addNamed(metric, labels, value / metric.divisor);
    }
    const isSource = [...found.keys()].some((name) => already === undefined || !DISTURBED.has(name));
    if (isSource) families.add('kvm_vm_source_info', { vm: vm.label, source: 'debugfs' }, 1);
  }
}
