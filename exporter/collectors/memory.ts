import { ifThere, isGone, type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readProcessMemory } from '../../probes/proc-pid-memory.ts';
import { readTransparentHugePages } from '../../probes/proc-smaps-rollup.ts';
import { readUptime } from '../../probes/proc-uptime.ts';
import { readMovedPages } from '../../probes/proc-vmstat.ts';
import type { Vm } from '../model/vm.ts';
import { type Collection, type Collector, guarded } from './collector.ts';

/** The kernel walks all page tables for smaps_rollup, and huge pages rarely change. */
const HUGE_PAGES_SECONDS = 600;
const TIMEOUT_MS = 5_000;

interface HugePages {
  /** Seconds since boot. */
  readonly at: number;
  readonly bytes: number | undefined;
}

/** Memory of the VMs' processes: resident, in swap, in huge pages. */
export function memory(): Collector {
  const huge = new Map<string, HugePages>();
  let problem: SourceError | undefined;
  let isReading = false;

  return {
    name: 'memory',
    async collect(collection, report) {
      const { host, families, vms } = collection;
      guarded('/proc/vmstat', report, () => ifThere(() => addHost(collection)));
      const alive = new Set(vms.map(({ key }) => key));
      for (const key of huge.keys()) if (!alive.has(key)) huge.delete(key);
      for (const { key, label: vm, pid } of vms) {
        await collection.yieldIfDue();
        guarded(`${host.roots.procfs}/${pid}/status`, report, () => {
          // A VM may end during the scrape.
          const found = ifThere(() => readProcessMemory(host, pid));
          if (found === undefined) return;
          const { resident, swapped, hugetlb } = found;
          families.add('kvm_vm_memory_resident_bytes', { vm }, resident);
          families.add('kvm_vm_memory_swapped_bytes', { vm }, swapped);
          families.add('kvm_vm_memory_huge_bytes', { vm, kind: 'hugetlb' }, hugetlb);
        });
        const bytes = huge.get(key)?.bytes;
        if (bytes !== undefined) families.add('kvm_vm_memory_huge_bytes', { vm, kind: 'transparent' }, bytes);
      }
      if (problem !== undefined) report(problem);
      // The read may take seconds, so the next scrape has the result.
      guarded('/proc/uptime', report, () => {
        const now = ifThere(() => readUptime(host));
        if (now !== undefined) void readHugePages(host, vms, now);
      });
    },
  };

  /** Of the VM that is due for the longest time: one at a time, off the main thread. */
  async function readHugePages(host: Host, vms: readonly Vm[], now: number): Promise<void> {
    if (isReading) return;
    const lastOf = ({ key }: Vm): number => huge.get(key)?.at ?? Number.NEGATIVE_INFINITY;
    const [next] = [...vms].sort((a, b) => lastOf(a) - lastOf(b));
    if (next === undefined || now - lastOf(next) < HUGE_PAGES_SECONDS) return;
    isReading = true;
    let bytes: number | undefined;
    problem = undefined;
    try {
      bytes = await readTransparentHugePages(host, next.pid, TIMEOUT_MS);
    } catch (error) {
      if (!isGone(error)) problem = sourceError(error, `${host.roots.procfs}/${next.pid}/smaps_rollup`);
    } finally {
      isReading = false;
      huge.set(next.key, { at: now, bytes });
    }
  }
}

function addHost({ host, families }: Collection): void {
  const { swappedIn, swappedOut, numaMigrated } = readMovedPages(host);
  if (swappedIn !== undefined) families.add('kvm_host_swapped_pages_total', { direction: 'in' }, swappedIn);
  if (swappedOut !== undefined)
    families.add('kvm_host_swapped_pages_total', { direction: 'out' }, swappedOut);
  if (numaMigrated !== undefined) families.add('kvm_host_numa_pages_migrated_total', {}, numaMigrated);
}
