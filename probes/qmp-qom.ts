import { z } from 'zod';
import { SourceError } from './errors.ts';
import type { QmpConnection } from './qmp-connection.ts';

/** How a disk's queues are served: those of virtio-blk, or of the controller of a SCSI disk. */
export interface QmpDiskQueues {
  /** Virtqueues; undefined for a device that has no such property. */
  readonly queues: number | undefined;
  /** Whether it can have an IOThread: where it cannot, `iothread` says nothing. */
  readonly hasIothread: boolean;
  /** The IOThread of all queues; undefined for the main loop. */
  readonly iothread: string | undefined;
  /** IOThread by queue, where `iothread-vq-mapping` spreads them; empty otherwise. */
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
 * The QOM path of the device that a block backend is attached to; undefined for a device that QEMU made by itself.
 * QEMU names the device by its id where it has one, else by its path (blk_get_attached_dev_id()).
 */
export function devicePath(qdev: string): string | undefined {
  if (/^[^/]{1,128}$/.test(qdev)) return `/machine/peripheral/${qdev}`;
  return PERIPHERAL.exec(qdev)?.[1];
}

/** Controllers that were read already: a hundred disks may share one. */
export type Controllers = Map<string, QmpDiskQueues>;

/**
 * Reads how a disk's queues are served, with `qom-get`. A virtio-blk disk has the properties `num-queues`, `iothread` and
 * `iothread-vq-mapping` (QEMU 9.0) itself, hw/block/virtio-blk.c; for a SCSI disk its controller has them. A disk without
 * such a controller (IDE) has none of them.
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

/** undefined where the object has no such property. */
async function property(qmp: QmpConnection, path: string, name: string, timeoutMs: number): Promise<unknown> {
  try {
    return await qmp.execute('qom-get', timeoutMs, { path, property: name });
  } catch (error) {
    // QEMU's own "no such property"; a broken connection is not this.
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
