import { NSEC_PER_SEC } from '../../../kernel/units.ts';
import type { QmpBlock } from '../../../probes/qmp-block.ts';
import type { QmpBlockStats, QmpOperationStats } from '../../../probes/qmp-blockstats.ts';
import { devicePath, type QmpDiskQueues } from '../../../probes/qmp-qom.ts';
import type { QmpStatistics, QmpVcpuStatistics } from '../../../probes/qmp-stats.ts';
import { vcpuTable } from '../../model/vcpu-table.ts';
import { truncateName } from '../../model/vm-names.ts';
import {
  addBuckets,
  type Disk,
  type DiskOperation,
  fromBins,
  inKvmOrder,
  type Storage,
  UniqueNames,
  type VmStatistics,
} from '../../model/vm-statistics.ts';
import type { Facts } from './facts.ts';

/** Combines QEMU's responses. A vCPU is identified by its path, because the responses are not ordered. */
export function vmStatistics(
  facts: Facts,
  vm: QmpStatistics,
  vcpus: readonly QmpVcpuStatistics[],
  disks: readonly QmpBlockStats[],
  state: string,
): VmStatistics {
  const indexOf = new Map(facts.cpus.map(({ qomPath, index }) => [qomPath, index]));
  const byIndex = new Map<number, ReadonlyMap<string, number>>();
  const histograms = new Map<string, readonly number[]>();
  for (const vcpu of vcpus) {
    const index = indexOf.get(vcpu.qomPath);
    if (index === undefined) continue;
    byIndex.set(index, vcpu.values);
    for (const [name, buckets] of vcpu.histograms) {
      if (facts.types?.get(name) !== 'log2-histogram') continue;
      const ordered = inKvmOrder(buckets, vcpu.values.get(name.replace(/_hist$/, '_ns')));
      histograms.set(name, addBuckets(histograms.get(name) ?? [], ordered));
    }
  }
  return {
    source: 'qmp',
    vm: vm.values,
    vcpus: vcpuTable([...byIndex].sort(([a], [b]) => a - b)),
    histograms,
    types: facts.types ?? new Map(),
    ...storageOf(facts, disks),
    state,
  };
}

/** The disks and the IOThreads that may serve them. */
export function storageOf(facts: Facts, disks: readonly QmpBlockStats[]): Storage {
  const iothreadNames = new UniqueNames();
  return {
    disks: namedDisks(facts, disks),
    iothreads: facts.iothreads.map(({ id, pollMaxNs, pollGrow, pollShrink, pollWeight, aioMaxBatch }) => ({
      id: iothreadNames.of(truncateName(id)),
      pollMaxSeconds: pollMaxNs / NSEC_PER_SEC,
      pollGrow,
      pollShrink,
      pollWeight,
      aioMaxBatch,
    })),
  };
}

/** A node without a name is part of another node. */
function isNamed({ nodeName, device }: Pick<QmpBlockStats, 'nodeName' | 'device'>): boolean {
  return nodeName !== '' || device !== '';
}

function namedDisks(facts: Facts, stats: readonly QmpBlockStats[]): Disk[] {
  const names = new UniqueNames();
  return stats.filter(isNamed).map((disk) => {
    const block = facts.blocks.find((each) => isSame(each, disk));
    // A CD-ROM on a SCSI controller does not affect how the disks are served.
    const queues = block?.removable ? undefined : facts.queues.get(devicePath(disk.qdev) ?? '');
    return {
      name: names.of(truncateName(diskName(disk))),
      read: operation(disk.read),
      write: operation(disk.write),
      flush: operation(disk.flush),
      discard: disk.discard && operation(disk.discard),
      file: truncateName(block?.file ?? ''),
      driver: truncateName(block?.driver ?? ''),
      iothreads: iothreadsOf(queues),
      queues: queues?.queues,
    };
  });
}

/** The device's id in the guest is the best name, then the drive's name, then the node's name. */
function diskName({ qdev, device, nodeName }: QmpBlockStats): string {
  const id = /^\/machine\/peripheral\/([^/]+)/.exec(devicePath(qdev) ?? '')?.[1];
  return id ?? (device !== '' ? device : nodeName);
}

function isSame(block: QmpBlock, stats: QmpBlockStats): boolean {
  return stats.nodeName !== '' ? block.nodeName === stats.nodeName : block.device === stats.device;
}

/** IOThread by queue; one entry if all queues share it; undefined for a device that cannot have one. */
function iothreadsOf(queues: QmpDiskQueues | undefined): string[] | undefined {
  if (queues === undefined || !(queues.hasIothread || queues.mapping.length > 0)) return undefined;
  if (queues.mapping.length === 0)
    return queues.iothread === undefined ? [] : [truncateName(queues.iothread)];
  const count = queues.queues ?? 0;
  const threads = queues.mapping.map(({ iothread }) => truncateName(iothread));
  // Without explicit queues QEMU assigns them round-robin: hw/block/virtio-blk.c apply_iothread_vq_mapping().
  const explicit = queues.mapping.some(({ queues: list }) => list.length > 0);
  return Array.from({ length: count }, (_, queue) => {
    const position = explicit
      ? queues.mapping.findIndex(({ queues: list }) => list.includes(queue))
      : queue % threads.length;
    return threads[position] ?? '';
  });
}

function operation(stats: QmpOperationStats): DiskOperation {
  const { operations, bytes, timeNs, merged, failed, latency } = stats;
  return {
    operations,
    bytes,
    seconds: timeNs / NSEC_PER_SEC,
    merged,
    failed,
    latency: latency === undefined ? undefined : fromBins(latency.boundaries, latency.bins),
  };
}
