import { z } from 'zod';
import { SourceError } from './errors.ts';
import type { QmpConnection } from './qmp-connection.ts';

/** Queues of a disk: those of virtio-blk, or those of a SCSI disk's controller. */
export interface QmpDiskQueues {
  /** Number of virtqueues; undefined for a device without this property. */
  readonly queues: number | undefined;
  /** Whether the device supports an IOThread. If not, ignore `iothread`. */
  readonly hasIothread: boolean;
  /** The IOThread of all queues; undefined for the main loop. */
  readonly iothread: string | undefined;
  /** IOThread by queue if `iothread-vq-mapping` is set; empty otherwise. */
  readonly mapping: readonly { readonly iothread: string; readonly queues: readonly number[] }[];
}

/** VIRTIO_QUEUE_MAX, include/hw/virtio/virtio.h. */
const MAX_QUEUES = 1024;
const PERIPHERAL = /^(\/machine\/peripheral(?:-anon)?\/[^/]{1,128})(?:\/|$)/;
const mapping = z
  .array(
    z.object({
      iothread: z.string().max(256),
      vqs: z.array(z.int().min(0).max(MAX_QUEUES)).max(MAX_QUEUES).default([]),
    }),
  )
  .max(MAX_QUEUES);

/**
 * The QOM path of the device that a block backend is attached to; undefined for a device that QEMU created
 * itself. QEMU reports the device's id, or its path if it has no id (blk_get_attached_dev_id()).
 */
export function devicePath(qdev: string): string | undefined {
  if (/^[^/]{1,128}$/.test(qdev)) return `/machine/peripheral/${qdev}`;
  return PERIPHERAL.exec(qdev)?.[1];
}

/** Controllers that were already read: a hundred disks may share one. */
export type Controllers = Map<string, QmpDiskQueues>;

/**
 * Reads a disk's queues with `qom-get`. A virtio-blk disk has the properties `num-queues`, `iothread` and
 * `iothread-vq-mapping` (QEMU 9.0), hw/block/virtio-blk.c. For a SCSI disk, its controller has them. A disk
 * without such a controller (IDE) has none of them.
 *
 * @param device from {@link devicePath}
 */
export async function readDiskQueues(
  qmp: QmpConnection,
  device: string,
  timeoutMs: number,
  controllers: Controllers,
): Promise<QmpDiskQueues> {
  const get = (path: string, name: string): Promise<unknown> => property(qmp, path, name, timeoutMs);
  const [queues, iothread] = [await get(device, 'num-queues'), await get(device, 'iothread')];
  if (queues !== undefined || iothread !== undefined)
    return queuesFrom(queues, iothread, await get(device, 'iothread-vq-mapping'));
  const bus = z
    .string()
    .max(512)
    .safeParse(await get(device, 'parent_bus'));
  const controller = bus.success ? PERIPHERAL.exec(bus.data)?.[1] : undefined;
  if (controller === undefined) return NOTHING;
  let found = controllers.get(controller);
  if (found === undefined) {
    found = queuesFrom(
      await get(controller, 'num_queues'),
      await get(controller, 'iothread'),
      await get(controller, 'iothread-vq-mapping'),
    );
    controllers.set(controller, found);
  }
  return found;
}

const NOTHING: QmpDiskQueues = { queues: undefined, hasIothread: false, iothread: undefined, mapping: [] };

/** The driver of a device, such as `vhost-user-blk-pci`. @returns undefined for a device that QEMU created itself */
export async function readDriver(
  qmp: QmpConnection,
  id: string,
  timeoutMs: number,
): Promise<string | undefined> {
  const path = devicePath(id);
  if (path === undefined) return undefined;
  const driver = z
    .string()
    .max(128)
    .safeParse(await property(qmp, path, 'type', timeoutMs));
  return driver.success ? driver.data : undefined;
}

/** undefined if the object has no such property. */
async function property(qmp: QmpConnection, path: string, name: string, timeoutMs: number): Promise<unknown> {
  try {
    return await qmp.execute('qom-get', timeoutMs, { path, property: name });
  } catch (error) {
    // QEMU's own error "no such property", as opposed to a broken connection.
    if (error instanceof SourceError && error.kind === 'absent') return undefined;
    throw error;
  }
}

function queuesFrom(count: unknown, thread: unknown, spread: unknown): QmpDiskQueues {
  const queues = z.int().min(1).max(MAX_QUEUES).safeParse(count);
  const iothread = z.string().max(512).safeParse(thread);
  const mapped = mapping.safeParse(spread);
  return {
    queues: queues.success ? queues.data : undefined,
    hasIothread: iothread.success,
    iothread:
      iothread.success && iothread.data !== '' ? iothread.data.replace(/^\/objects\//, '') : undefined,
    mapping: mapped.success ? mapped.data.map(({ iothread, vqs }) => ({ iothread, queues: vqs })) : [],
  };
}
