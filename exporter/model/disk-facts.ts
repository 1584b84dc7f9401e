import type { LibvirtDisk } from '../../probes/libvirt-domain.ts';
import type { QemuDevices, QemuStorage } from '../../probes/qemu-devices.ts';
import type { VmStatistics } from './vm-statistics.ts';

/** One source's report on one disk. undefined values are not reported. */
export interface DiskFacts {
  readonly queues?: number | undefined;
  /** IOThreads of all its queues; empty for the main loop. */
  readonly iothreads?: readonly string[] | undefined;
  readonly direct?: boolean | undefined;
  readonly aio?: string | undefined;
}

interface Sources {
  readonly statistics: Pick<VmStatistics, 'disks'> | undefined;
  readonly devices: QemuDevices | undefined;
  readonly libvirtDisks: readonly LibvirtDisk[] | undefined;
}

/**
 * The disks as each source reports them, the best source first. QEMU's monitor reports the actual state,
 * QEMU's command line the requested one. libvirt's XML is last: for a SCSI disk only the controller has the
 * IOThreads.
 */
export function diskFactsOf({ statistics, devices, libvirtDisks }: Sources): DiskFacts[][] {
  return [
    // A disk with neither is not virtio: IDE, or a CD-ROM.
    (statistics?.disks ?? [])
      .map(({ queues, iothreads }) => ({ queues, iothreads }))
      .filter(({ queues, iothreads }) => queues !== undefined || iothreads !== undefined),
    (devices?.storage ?? []).flatMap(ofStorage),
    (libvirtDisks ?? []).map(ofLibvirt),
  ];
}

/** `4 queues, served by io0`. @param unknown stands for a number of queues that no source reports */
export function servedInWords({ queues, iothreads }: DiskFacts, unknown: string): string {
  const threads = iothreads === undefined ? 'unknown threads' : [...new Set(iothreads)].join(', ');
  return `${queues ?? unknown} ${queues === 1 ? 'queue' : 'queues'}, served by ${threads || 'the main loop'}`;
}

function ofStorage({ kind, queues, iothread, mapping, drives }: QemuStorage): DiskFacts[] {
  if (kind === 'vhost') return [{ queues }];
  const mapped = mapping.map((entry) => entry.iothread);
  const iothreads = mapped.length > 0 || iothread === undefined ? mapped : [iothread];
  return drives.map(({ direct, aio }) => {
    // A known drive without aio= uses QEMU's default.
    const engine = aio ?? (direct === undefined ? undefined : 'threads');
    return { queues, iothreads, direct, aio: engine };
  });
}

function ofLibvirt({ queues, iothread, iothreads, cache, io }: LibvirtDisk): DiskFacts {
  const ids = iothreads.length > 0 ? iothreads.map(({ id }) => id) : iothread === undefined ? [] : [iothread];
  return {
    queues,
    iothreads: ids.length === 0 ? undefined : ids.map((id) => `iothread${id}`),
    direct: cache === undefined ? undefined : cache === 'none' || cache === 'directsync',
    aio: io,
  };
}
