import type { SourceError } from '../../probes/errors.ts';
import type { CounterSets } from '../model/continued-counter.ts';
import type { RemoteResult } from '../model/remote.ts';
import type { StatisticsSource } from '../model/vm-statistics.ts';
import type { Collection, Collector } from './collector.ts';
import type { StatisticMetrics } from './statistic-metrics.ts';
import { addMigration, addStatistics } from './statistics-families.ts';

/** KVM's statistics from the kernel, read when the scrape began. */
export function bpf(metrics: StatisticMetrics, counters: CounterSets): Collector {
  let missing: readonly SourceError[] = [];
  return {
    name: 'bpf',
    get missing() {
      return missing;
    },
    collect(collection, report) {
      const { kernel } = collection;
      missing = kernel.missing;
      add(collection, kernel, 'bpf', metrics, counters);
      for (const [object, isLoaded] of kernel.objects)
        collection.families.add('kvm_telemetry_bpf_object_loaded', { object }, isLoaded ? 1 : 0);
      for (const problem of kernel.problems) report(problem);
    },
  };
}

/** Statistics from QEMU's monitors, requested when the scrape began. */
export function qmp(metrics: StatisticMetrics, counters: CounterSets): Collector {
  return {
    name: 'qmp',
    async collect(collection, report) {
      const result = await collection.qmp;
      add(collection, result, 'qmp', metrics, counters);
      for (const vm of collection.vms) {
        const version = result.statistics.has(vm.key) ? collection.versionOf(vm) : undefined;
        if (version === undefined) continue;
        collection.families.add('kvm_vm_qemu_version_info', { vm: vm.label, version }, 1);
      }
      for (const problem of result.problems) report(problem);
    },
  };
}

/** Statistics from libvirt for the VMs that it manages. */
export function libvirt(metrics: StatisticMetrics, counters: CounterSets): Collector {
  return {
    name: 'libvirt',
    async collect(collection, report) {
      const result = await collection.libvirt;
      add(collection, result, 'libvirt', metrics, counters);
      for (const problem of result.problems) report(problem);
    },
  };
}

function add(
  { vms, families, settings, written }: Collection,
  { statistics, queried, migrations, arriving }: RemoteResult,
  source: StatisticsSource,
  metrics: StatisticMetrics,
  counters: CounterSets,
): void {
  counters.keep(vms.map(({ key }) => key));
  for (const vm of vms) {
    if (!queried.has(vm.key)) continue;
    const migration = migrations?.get(vm.key);
    if (migration !== undefined) addMigration(families, vm.label, migration);
    // The state has QEMU's name, by which sums over a fleet leave out this end of the migration.
    if (arriving?.has(vm.key)) families.add('kvm_vm_state_info', { vm: vm.label, state: 'inmigrate' }, 1);
    const found = statistics.get(vm.key);
    families.add('kvm_vm_source_up', { vm: vm.label, source }, found === undefined ? 0 : 1);
    if (found === undefined) continue;
    // The first source that has a statistic provides it in this scrape.
    const already = written.get(vm.key) ?? new Set();
    const given = addStatistics(families, metrics, vm.label, found, counters.of(vm.key), settings, already);
    written.set(vm.key, new Set([...already, ...given]));
  }
}
