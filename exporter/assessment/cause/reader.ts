import { MSEC_PER_SEC, NSEC_PER_SEC, USEC_PER_SEC } from '../../../kernel/units.ts';
import { readCpuStat } from '../../../probes/cgroup-cpu-stat.ts';
import { attempt } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';
import { type PressureResource, readCgroupPressure } from '../../../probes/pressure.ts';
import { readCpuUse } from '../../../probes/proc-stat.ts';
import type { BlockStat } from '../../../probes/sys-block-stat.ts';
import { readCpuFrequency } from '../../../probes/sys-cpufreq.ts';
import { CgroupsOfVms, sharedFolders, type VmCgroups } from '../../collectors/vm-cgroups.ts';
import type { Vm } from '../../model/vm.ts';
import type { Disk } from '../../model/vm-statistics.ts';
import { Yielder } from '../../schedule/yielder.ts';
import type { Evidence, Timed } from './evidence.ts';
import type { ThreadTimes } from './thread-times.ts';

/** The reader finds a new quota within half a minute, the duration of the shortest worsening. */
const FOUND_EVERY = 3;

export interface EvidenceSources {
  /** The last pass over the threads, by VM key. */
  readonly threads: ReadonlyMap<string, ThreadTimes>;
  /** By device. */
  readonly blocks: ReadonlyMap<string, BlockStat>;
  /** Disks as the VMM counted them in this round; undefined if it got no request or did not respond. */
  disksOf(vm: Vm): readonly Disk[] | undefined;
}

/**
 * Reads possible causes of slow I/O between scrapes. A file that cannot be read leaves its measure unknown; the
 * collectors report the reason.
 */
export class EvidenceReader {
  readonly #cgroups = new CgroupsOfVms(FOUND_EVERY);

  constructor(
    private readonly host: Host,
    private readonly now: () => number,
  ) {}

  /** By VM key. */
  async read(
    vms: readonly Vm[],
    { threads, blocks, disksOf }: EvidenceSources,
  ): Promise<ReadonlyMap<string, Evidence>> {
    const { host, now } = this;
    const yielder = new Yielder();
    const cpus = attempt(() => readCpuUse(host));
    const cgroups = this.#cgroups.of({ host, vms });
    const shared = sharedFolders([...cgroups.values()].map(({ unified }) => unified));
    const frequencies = new Map<number, number | undefined>();
    const found = new Map<string, Evidence>();
    for (const vm of vms) {
      if (yielder.isDue()) await yielder.yield();
      const own = cgroups.get(vm.key);
      const times = threads.get(vm.key);
      found.set(vm.key, {
        at: now(),
        threads: times,
        throttled: own && throttledOf(host, own),
        cpus,
        frequency: times && meanFrequency(host, times, frequencies),
        stalls: stallsOf(host, own?.unified, shared),
        ios: iosOf(disksOf(vm)),
        requests: requestsOf(vm, blocks),
      });
    }
    return found;
  }
}

function throttledOf(host: Host, { groups, problems }: VmCgroups): Evidence['throttled'] {
  if (problems.length > 0 && groups.length === 0) return undefined;
  const found = groups
    .filter(({ group, isLimited }) => isLimited || group === 'vm')
    .map(({ group, folder }) => [
      group,
      (attempt(() => readCpuStat(host, folder))?.throttledNs ?? 0) / NSEC_PER_SEC,
    ]);
  return Object.fromEntries(found);
}

/** Each CPU is read once in a round. */
function meanFrequency(
  host: Host,
  { parts: { vcpu, io } }: ThreadTimes,
  known: Map<number, number | undefined>,
): number | undefined {
  const all = [...new Set([...vcpu.cpus, ...io.cpus])].flatMap((cpu) => {
    if (!known.has(cpu))
      known.set(
        cpu,
        attempt(() => readCpuFrequency(host, cpu)),
      );
    return known.get(cpu) ?? [];
  });
  return all.length === 0 ? undefined : all.reduce((sum, hertz) => sum + hertz, 0) / all.length;
}

function stallsOf(host: Host, cgroup: string | undefined, shared: ReadonlySet<string>): Evidence['stalls'] {
  const of = (resource: PressureResource): number | undefined => {
    if (cgroup === undefined || shared.has(cgroup)) return undefined;
    const usec = attempt(() => readCgroupPressure(host, cgroup, resource))?.some;
    return usec === undefined ? undefined : usec / USEC_PER_SEC;
  };
  return { cpu: of('cpu'), io: of('io'), memory: of('memory') };
}

function iosOf(disks: readonly Disk[] | undefined): Timed | undefined {
  if (disks === undefined || disks.length === 0) return undefined;
  const all = disks.flatMap(({ read, write }) => [read, write]);
  return {
    seconds: all.reduce((sum, { seconds }) => sum + seconds, 0),
    times: all.reduce((sum, { operations }) => sum + operations, 0),
  };
}

/**
 * Only the devices that the VMM has open, or that hold its images. The devices below them would count the same time
 * again.
 */
function requestsOf({ blockDevices }: Vm, blocks: ReadonlyMap<string, BlockStat>): Timed | undefined {
  const stats = blockDevices
    .filter(({ depth }) => depth === 0)
    .flatMap(({ device }) => blocks.get(device) ?? []);
  if (stats.length === 0) return undefined;
  return {
    seconds: stats.reduce((sum, { readMs, writeMs }) => sum + (readMs + writeMs) / MSEC_PER_SEC, 0),
    times: stats.reduce((sum, { reads, writes }) => sum + reads + writes, 0),
  };
}
