import { getOrInsert } from '../../kernel/maps.ts';
import { NSEC_PER_SEC, USEC_PER_SEC } from '../../kernel/units.ts';
import { type CpuStat, readCpuStat } from '../../probes/cgroup-cpu-stat.ts';
import type { MemoryLimit } from '../../probes/cgroup-memory.ts';
import { ifThere } from '../../probes/errors.ts';
import { ownFolders, readOwnMemoryLimits, readOwnThrottling } from '../../probes/own-cgroup.ts';
import { ContinuedCounter, type CounterSet, CounterSets } from '../model/continued-counter.ts';
import { type Collection, type Collector, guarded, type Report } from './collector.ts';
import { type CgroupsOfVms, type Group, sharedFolders } from './vm-cgroups.ts';

/** CPU quotas of the cgroups of the VMs and of the exporter, how long they stopped them, and the exporter's memory limits. */
export function cpuQuota(cgroups: CgroupsOfVms): Collector {
  const counters = new CounterSets();
  const own = new ContinuedCounter();
  let wasLimited = false;
  const hits = new Map<MemoryLimit['limit'], ContinuedCounter>();

  return {
    name: 'cpu_quota',
    async collect(collection, report) {
      const { host, families } = collection;
      const folderOf = ownFolders(host);
      guarded('own cgroup', report, () => {
        const found = readOwnThrottling(host, folderOf);
        if (found === undefined) return;
        wasLimited ||= found.isLimited;
        const ns = own.one(found.folder, found.stat.throttledNs);
        if (wasLimited) families.add('kvm_telemetry_throttled_seconds_total', {}, ns / NSEC_PER_SEC);
      });
      guarded('own cgroup', report, () => {
        const { folder, limits } = readOwnMemoryLimits(host, folderOf);
        for (const { limit, hits: reading, isSet } of limits) {
          if (!isSet && !hits.has(limit)) continue;
          const counter = getOrInsert(hits, limit, () => new ContinuedCounter());
          families.add('kvm_telemetry_memory_limit_hits_total', { limit }, counter.one(folder, reading));
        }
      });
      const known = cgroups.of(collection);
      const folders = [...known.values()].map(
        ({ groups }) => groups.find(({ group }) => group === 'vm')?.folder,
      );
      const shared = sharedFolders(folders);
      counters.keep(known.keys());
      // A cgroup above several VMs is read once.
      const stats = new Map<string, CpuStat | undefined>();
      for (const vm of collection.vms) {
        await collection.yieldIfDue();
        const { groups = [], problems = [] } = known.get(vm.key) ?? {};
        for (const problem of problems) report(problem);
        for (const group of groups) {
          const isShared = group.group === 'vm' && shared.has(group.folder);
          const shown = isShared ? { ...group, group: group.path } : group;
          if (group.isLimited || shown.group === 'vm')
            addGroup(collection, vm.label, shown, stats, counters.of(vm.key), report);
        }
      }
    },
  };
}

function addGroup(
  { host, families }: Collection,
  vm: string,
  { group, folder, quota }: Group,
  stats: Map<string, CpuStat | undefined>,
  counters: CounterSet,
  report: Report,
): void {
  guarded(`${folder}/cpu.stat`, report, () => {
    const stat = getOrInsert(stats, folder, () => ifThere(() => readCpuStat(host, folder)));
    if (stat === undefined) return;
    const labels = families.block({ vm, group });
    const continued = (name: string, reading: number): number =>
      counters.one(`${group} ${name}`, folder, reading);
    // Sums of fractions would differ from the kernel's in the last digit.
    const ns = continued('throttled ns', stat.throttledNs);
    families.add('kvm_vm_throttled_seconds_total', labels, ns / NSEC_PER_SEC);
    const periods = continued('throttled periods', stat.throttledPeriods);
    families.add('kvm_vm_throttled_periods_total', labels, periods);
    families.add('kvm_vm_quota_periods_total', labels, continued('periods', stat.periods));
    if (quota?.quota === undefined) return;
    families.add('kvm_vm_quota_seconds', labels, quota.quota / USEC_PER_SEC);
    families.add('kvm_vm_quota_period_seconds', labels, quota.period / USEC_PER_SEC);
  });
}
