import { NSEC_PER_SEC } from '../../kernel/units.ts';
import type { NotifyAddress } from '../../probes/bpf/kvm-rows.ts';
import type { QmpEndings } from '../../probes/qmp-connection.ts';
import type { QmpMigration } from '../../probes/qmp-migrate.ts';
import type { StatisticType } from '../../probes/qmp-stats.ts';
import type { VcpuTable } from './vcpu-table.ts';

/** Source of a VM's KVM statistics and disks. For each statistic the first source that responds wins. */
export type StatisticsSource = 'bpf' | 'qmp' | 'libvirt' | 'debugfs';

export interface DiskOperation {
  readonly operations: number;
  readonly bytes: number;
  readonly seconds: number;
  /** undefined if the source does not count them. */
  readonly merged: number | undefined;
  readonly failed: number | undefined;
  readonly latency: Histogram | undefined;
}

/** The VMM's counts of a disk: the guest's requests, before the host's caches and merges. */
export interface Disk {
  /** Unique in its VM and valid as a label: the device's id, the drive's name or the node's name. */
  readonly name: string;
  readonly read: DiskOperation;
  readonly write: DiskOperation;
  /** undefined if the source does not report them. */
  readonly flush: DiskOperation | undefined;
  readonly discard: DiskOperation | undefined;
  /** Image or host device; empty if unknown. */
  readonly file: string;
  readonly driver: string;
  /**
   * IOThread of each queue, or one entry if all queues share it; empty for the main loop; undefined if
   * unknown.
   */
  readonly iothreads: readonly string[] | undefined;
  readonly queues: number | undefined;
}

export interface Iothread {
  readonly id: string;
  readonly pollMaxSeconds: number;
  readonly pollGrow: number;
  readonly pollShrink: number;
  /** undefined if the source does not report it. The same holds for the next fields. */
  readonly pollWeight: number | undefined;
  readonly aioMaxBatch: number | undefined;
}

/** Cumulative counts by upper bound, ascending, without the last bucket, whose count is `count`. */
export interface Histogram {
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
  readonly count: number;
  /** undefined if the source has no sum. */
  readonly sum: number | undefined;
}

/** The last live migration of a VM. */
export interface Migration extends QmpMigration {
  readonly direction: 'outgoing' | 'incoming';
  /** Migrations that ended since the monitor was connected; undefined if QEMU does not announce them. */
  readonly endings?: QmpEndings;
}

const ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled']);

/** @param status of a migration */
export function hasEnded(status: string): boolean {
  return ENDED.has(status);
}

/** The statistics of one VM in one scrape. */
export interface VmStatistics {
  readonly source: StatisticsSource;
  /** KVM's statistics of the VM itself, under KVM's names. */
  readonly vm: ReadonlyMap<string, number>;
  readonly vcpus: VcpuTable;
  /** KVM's log2 histograms in nanoseconds, summed over vCPUs. */
  readonly histograms: ReadonlyMap<string, readonly number[]>;
  /** Current halt-poll window of each vCPU in nanoseconds, by its index. Only the kernel reports it. */
  readonly haltPollNs?: ReadonlyMap<number, number>;
  /** APICv or AVIC of the VM. Only the kernel reports it. */
  readonly apicv?: {
    /** Why KVM does not use it; empty if there is no reason, or if they are unknown. */
    readonly inhibited: ReadonlySet<string>;
    /** Whether it is in use, by index of the vCPU. */
    readonly active: ReadonlyMap<number, boolean>;
  };
  /** `sev`, `sev_es`, `sev_snp` or `tdx`. Only the kernel reports it, since Linux 6.8. */
  readonly confidential?: string | undefined;
  /** Whether a vCPU polls in the guest before it halts (haltpoll). Only the kernel reports it. */
  readonly guestPolls?: boolean | undefined;
  /** Whether the guest halts without an exit. Only the kernel reports it. */
  readonly haltsInside?: boolean | undefined;
  /** Notify addresses of the guest's virtqueues, also of unused ones. Only the kernel reports it. */
  readonly notifyAddresses?: readonly NotifyAddress[] | undefined;
  readonly types: ReadonlyMap<string, StatisticType>;
  readonly disks: readonly Disk[];
  readonly iothreads: readonly Iothread[];
  /** `running`, `paused`, ... */
  readonly state: string;
  /** Only QEMU's monitor reports it. */
  readonly migration?: Migration | undefined;
  /** Memory that the guest has, in bytes. Only QEMU's monitor reports it, of a VM with a balloon. */
  readonly balloon?: number | undefined;
}

/**
 * Completed requests of the paravirtual disks, as the guest sent them. A flush and a discard cost a kick too.
 * IDE disks and CD-ROM drives have neither queues nor IOThreads; libvirt reports these of no disk.
 */
export function requestsOf(disks: readonly Disk[]): number {
  const paravirtual = disks.filter(
    ({ queues, iothreads }) => queues !== undefined || iothreads !== undefined,
  );
  return (paravirtual.length > 0 ? paravirtual : disks)
    .flatMap(({ read, write, flush, discard }) => [read, write, flush, discard])
    .reduce((sum, operation) => sum + (operation?.operations ?? 0), 0);
}

/** The facts of a VM that only the kernel reports. */
export type KernelFacts = Pick<
  VmStatistics,
  'vm' | 'apicv' | 'confidential' | 'guestPolls' | 'haltsInside' | 'notifyAddresses'
>;

/** The part of a VM's statistics that is also read between scrapes: how its disks are served, and its live migration. */
export type Storage = Pick<VmStatistics, 'disks' | 'iothreads' | 'migration'>;

/** Adds up histograms bucket by bucket. */
export function addBuckets(sum: readonly number[], more: readonly number[]): number[] {
  const length = Math.max(sum.length, more.length);
  return Array.from({ length }, (_, i) => (sum[i] ?? 0) + (more[i] ?? 0));
}

/**
 * Bounds of the halt histograms as powers of two of nanoseconds: 1 us; each power from 4 us to 1 ms, the
 * range of halt polling; then every second one up to 1 s.
 */
const BOUND_POWERS = [10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24, 26, 28, 30];

/**
 * Converts KVM's log2 histogram to a Prometheus histogram. Bucket 0 holds [0, 1) ns, bucket i holds [2^(i-1),
 * 2^i) ns, the last bucket has no bound (include/linux/kvm_host.h KVM_STATS_LOG_HIST_UPDATE).
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
      le: 2 ** power / NSEC_PER_SEC,
      count: cumulative[power] ?? count,
    }));
  return { buckets, count, sum };
}

/**
 * Restores KVM's bucket order from QEMU's list. QEMU prepends each bucket to its list (accel/kvm/kvm-all.c
 * add_kvmstat_entry()), so the list runs from the longest time to the shortest. In case a QEMU version fixes
 * that, the sum decides: if the smallest possible sum of an order is above the real sum, the order is wrong.
 */
export function inKvmOrder(list: readonly number[], sumNs: number | undefined): number[] {
  const reversed = [...list].reverse();
  if (sumNs === undefined || isPossible(reversed, sumNs) || !isPossible(list, sumNs)) return reversed;
  return [...list];
}

/** Counts and sum are read one after the other, so one may miss events that the other has. */
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

/** Converts QEMU's latency histogram. Bin i is below boundary i, the last bin has no bound. */
export function fromBins(boundariesNs: readonly number[], bins: readonly number[]): Histogram {
  let count = 0;
  const buckets = boundariesNs.map((bound, i) => {
    count += bins[i] ?? 0;
    return { le: bound / NSEC_PER_SEC, count };
  });
  return { buckets, count: count + (bins[boundariesNs.length] ?? 0), sum: undefined };
}

/** Makes names unique: the second `vda` becomes `vda~2`. Two equal labels would be a duplicate series. */
export class UniqueNames {
  readonly #counts = new Map<string, number>();

  of(name: string): string {
    // Prometheus treats an empty label as a missing one.
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
