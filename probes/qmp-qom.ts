import { z } from 'zod';
import { SourceError } from './errors.ts';
import type { QmpConnection } from './qmp-connection.ts';

/** How a virtio disk's queues are served. */
export interface QmpDiskQueues {
  /** Virtqueues; undefined for a device that has no such property. */
  readonly queues: number | undefined;
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

/** The device in the guest that a block backend's path belongs to; undefined where there is none. */
export function devicePath(qdev: string): string | undefined {
  return PERIPHERAL.exec(qdev)?.[1];
}

/**
 * Reads three properties of a disk with `qom-get`: `num-queues`, `iothread`, `iothread-vq-mapping` (QEMU 9.0),
 * hw/block/virtio-blk.c. A device without one of them (IDE, SCSI behind a controller) has it undefined.
 *
 * @param device from {@link devicePath}
 */
export async function readDiskQueues(
  qmp: QmpConnection,
  device: string,
  timeoutMs: number,
): Promise<QmpDiskQueues> {
  const property = async (name: string): Promise<unknown> => {
    try {
      return await qmp.execute('qom-get', timeoutMs, { path: device, property: name });
    } catch (error) {
      // QEMU's own "no such property"; a broken connection is not this.
      if (error instanceof SourceError && error.kind === 'absent') return undefined;
      throw error;
    }
  };
  const queues = z
    .int()
    .min(1)
    .max(MAX_QUEUES)
    .safeParse(await property('num-queues'));
  const iothread = z
    .string()
    .max(512)
    .safeParse(await property('iothread'));
  const mapped = mapping.safeParse(await property('iothread-vq-mapping'));
  return {
    queues: queues.success ? queues.data : undefined,
    iothread:
      iothread.success && iothread.data !== '' ? iothread.data.replace(/^\/objects\//, '') : undefined,
    mapping: mapped.success ? mapped.data.map(({ iothread, vqs }) => ({ iothread, queues: vqs })) : [],
  };
}
