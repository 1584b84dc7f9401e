import type { StatisticType } from '../../probes/qmp-stats.ts';

/** Where a VM's KVM statistics and disks come from; the first that answers for a statistic wins. */
export type StatisticsSource = 'qmp' | 'libvirt' | 'debugfs';

export interface DiskOperation {
  readonly operations: number;
  readonly bytes: number;
  readonly seconds: number;
  /** undefined where the source does not count them. */
  readonly merged: number | undefined;
  readonly failed: number | undefined;
  readonly latency: Histogram | undefined;
}

/** A disk as the VMM counts it: what the guest asked for, before the host's caches and merges. */
export interface Disk {
  /** Unique in its VM, fit for a label: the device's id, the drive's name, the node's name. */
  readonly name: string;
  readonly read: DiskOperation;
  readonly write: DiskOperation;
  readonly flush: DiskOperation;
  readonly discard: DiskOperation | undefined;
  /** Image or host device; empty where unknown. */
  readonly file: string;
  readonly driver: string;
  /** IOThread of each queue; one entry for all queues where they share it; none for the main loop; undefined: unknown. */
  readonly iothreads: readonly string[] | undefined;
  readonly queues: number | undefined;
}

export interface Iothread {
  readonly id: string;
  readonly pollMaxSeconds: number;
  readonly pollGrow: number;
  readonly pollShrink: number;
  /** undefined where the source does not say. */
  readonly aioMaxBatch: number | undefined;
}

/** Counts below each bound, ascending, without the last bucket, whose count is `count`. */
export interface Histogram {
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
  readonly count: number;
  /** undefined where nobody keeps it. */
  readonly sum: number | undefined;
}

/** What a VMM says of one VM in one scrape. */
export interface VmStatistics {
  readonly source: StatisticsSource;
  /** KVM's statistics of the VM itself, under KVM's names. */
  readonly vm: ReadonlyMap<string, number>;
  /** KVM's statistics of each vCPU, by its index. */
  readonly vcpus: ReadonlyMap<number, ReadonlyMap<string, number>>;
  /** KVM's log2 histograms in nanoseconds, summed over vCPUs. */
  readonly histograms: ReadonlyMap<string, readonly number[]>;
  readonly types: ReadonlyMap<string, StatisticType>;
  readonly disks: readonly Disk[];
  readonly iothreads: readonly Iothread[];
  /** `running`, `paused`, ... */
  readonly state: string;
}

/** Requests that completed, as the guest sent them. */
export function iosOf(
  disks: readonly { readonly read: { operations: number }; readonly write: { operations: number } }[],
): number {
  return disks.reduce((sum, { read, write }) => sum + read.operations + write.operations, 0);
}

/** Sums over the vCPUs, as debugfs shows a VM; a peak is the highest. */
export function sumOverVcpus({ vcpus, types }: Pick<VmStatistics, 'vcpus' | 'types'>): Map<string, number> {
  const sums = new Map<string, number>();
  for (const statistics of vcpus.values()) {
    for (const [name, value] of statistics) {
      const before = sums.get(name) ?? 0;
      sums.set(name, types.get(name) === 'peak' ? Math.max(before, value) : before + value);
    }
  }
  return sums;
}

/** What each vCPU has of a statistic. */
export function byVcpu({ vcpus }: Pick<VmStatistics, 'vcpus'>, statistic: string): [string, number][] {
  const parts: [string, number][] = [];
  for (const [index, statistics] of vcpus) {
    const value = statistics.get(statistic);
    if (value !== undefined) parts.push([String(index), value]);
  }
  return parts;
}

/** Adds up histograms bucket by bucket. */
export function addBuckets(sum: readonly number[], more: readonly number[]): number[] {
  const length = Math.max(sum.length, more.length);
  return Array.from({ length }, (_, i) => (sum[i] ?? 0) + (more[i] ?? 0));
}

/**
 * Bounds of the halt histograms, powers of two of nanoseconds: 1 us, then each from 4 us to 1 ms, where halt polling
 * decides, then every other one up to 1 s.
 */
const BOUND_POWERS = [10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24, 26, 28, 30];

/**
 * KVM's log2 histogram as a Prometheus one: bucket 0 holds [0, 1) ns, bucket i holds [2^(i-1), 2^i) ns, the last one
 * has no bound (include/linux/kvm_host.h KVM_STATS_LOG_HIST_UPDATE).
 *
 * @param sum seconds
 * @param boundPowers of the bounds, as powers of two of nanoseconds
 */
export function fromLog2(
  counts: readonly number[],
  sum: number | undefined,
  boundPowers: readonly number[] = BOUND_POWERS,
): Histogram {
  const cumulative: number[] = [];
  let count = 0;
  for (const bucket of counts) {
    count += bucket;
    cumulative.push(count);
  }
  const buckets = boundPowers
    .filter((power) => power < counts.length - 1)
    .map((power) => ({
      le: 2 ** power / 1e9,
      count: cumulative[power] ?? count,
    }));
  return { buckets, count, sum };
}

/**
 * KVM's buckets from QEMU's list. QEMU puts each bucket before the ones it has (accel/kvm/kvm-all.c
 * add_kvmstat_entry()), so its list runs from the longest time to the shortest. Should a QEMU mend that, the sum
 * tells: a list whose least possible sum is above the real one is the wrong way round.
 */
export function inKvmOrder(list: readonly number[], sumNs: number | undefined): number[] {
  const reversed = [...list].reverse();
  if (sumNs === undefined || isPossible(reversed, sumNs) || !isPossible(list, sumNs)) return reversed;
  return [...list];
}

/** The counts and the sum are read one after the other: events between the two may be missing in one. */
const SLACK = 0.9;

function isPossible(counts: readonly number[], sumNs: number): boolean {
  let least = 0;
  let most = 0;
  counts.forEach((count, i) => {
    least += i === 0 ? 0 : count * 2 ** (i - 1);
    most += i === counts.length - 1 && count > 0 ? Number.POSITIVE_INFINITY : count * 2 ** i;
  });
  return least * SLACK <= sumNs && sumNs * SLACK <= most;
}

/** QEMU's latency histogram: bin i is below boundary i, the last bin has no bound. */
export function fromBins(boundariesNs: readonly number[], bins: readonly number[]): Histogram {
  let count = 0;
  const buckets = boundariesNs.map((bound, i) => {
    count += bins[i] ?? 0;
    return { le: bound / 1e9, count };
  });
  return { buckets, count: count + (bins[boundariesNs.length] ?? 0), sum: undefined };
}

/** Makes names unique: the second `vda` is `vda~2`. A name is a label, and two equal ones would be one series twice. */
export class UniqueNames {
  readonly #counts = new Map<string, number>();

  of(name: string): string {
    // An empty label is no label.
    const base = name === '' ? '?' : name;
    let count = this.#counts.get(base) ?? 0;
    let unique: string;
    do {
      count++;
      unique = count === 1 ? base : `${base}~${count}`;
    } while (unique !== base && this.#counts.has(unique));
    this.#counts.set(base, count);
    if (unique !== base) this.#counts.set(unique, 1);
    return unique;
  }
}
