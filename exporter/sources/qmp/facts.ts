import type { QmpBlock } from '../../../probes/qmp-block.ts';
import type { QmpCpu } from '../../../probes/qmp-cpus.ts';
import type { QmpIothread } from '../../../probes/qmp-iothreads.ts';
import type { QmpPciDevice } from '../../../probes/qmp-pci.ts';
import type { QmpDiskQueues } from '../../../probes/qmp-qom.ts';
import type { StatisticType } from '../../../probes/qmp-stats.ts';

/** Data that changes only by hot-plug or reconfiguration. */
export interface Facts {
  readonly version: string;
  /** undefined for QEMU before 7.1, which lacks `query-stats`. */
  readonly types: ReadonlyMap<string, StatisticType> | undefined;
  readonly cpus: readonly QmpCpu[];
  readonly iothreads: readonly QmpIothread[];
  readonly blocks: readonly QmpBlock[];
  /** By the device's QOM path. */
  readonly queues: ReadonlyMap<string, QmpDiskQueues>;
  /** Empty for a machine without PCI. */
  readonly pci: readonly QmpPciDevice[];
  /** Drivers of virtio disks without a block node in QEMU. */
  readonly driversWithoutBlock: readonly string[];
  readonly hasBalloon: boolean;
}
