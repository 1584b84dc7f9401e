import { z } from 'zod';
import type { FilesByUse } from './qemu-files.ts';
import { type QemuIoSign, signsOfFile } from './qemu-io-path.ts';
import type { QmpConnection } from './qmp-connection.ts';
import { unexpected } from './qmp-unexpected.ts';

/** The backend of a disk. */
export interface QmpBlock {
  readonly qdev: string;
  readonly device: string;
  readonly nodeName: string;
  /** Image or host device. Untrusted: the tenant may have chosen the name. */
  readonly file: string;
  /** Block driver: `qcow2`, `raw`, `host_device`, ... */
  readonly driver: string;
  /** A CD-ROM or floppy drive, which does not matter for I/O performance. */
  readonly removable: boolean;
  /** cache.direct: O_DIRECT. */
  readonly direct: boolean | undefined;
}

const text = z.string().max(4096).catch('');
const schema = z
  .array(
    z.object({
      qdev: text,
      device: text,
      removable: z.boolean().catch(false),
      inserted: z
        .object({
          'node-name': text,
          file: text,
          drv: text,
          cache: z.object({ direct: z.boolean() }).optional().catch(undefined),
        })
        .optional()
        .catch(undefined),
    }),
  )
  .max(4096);

/**
 * Parses the response to `query-block`. A drive without media is left out.
 *
 * @throws SourceError malformed
 * @example parseBlock([{ device: '', qdev: '...', inserted: { 'node-name': 'd0', file: '/dev/nvme0n1', drv: 'host_device' } }])
 */
export function parseBlock(reply: unknown): QmpBlock[] {
  const parsed = schema.safeParse(reply);
  if (!parsed.success) throw unexpected('query-block', reply);
  return parsed.data.flatMap(({ qdev, device, removable, inserted }) =>
    inserted === undefined
      ? []
      : [
          {
            qdev,
            device,
            nodeName: inserted['node-name'],
            file: inserted.file,
            driver: inserted.drv,
            removable,
            direct: inserted.cache?.direct,
          },
        ],
  );
}

/** Flash memory of the board: hw/i386/pc_sysfw.c, hw/arm/virt.c, hw/riscv/virt.c. */
const FIRMWARE = /^\/machine\/(?:system|virt)\.flash\d$/;
/** QEMU before 4.0 has no such path, but names the drive. */
const FIRMWARE_DRIVE = /^(?:drive-)?pflash\d$/;
/** A device that QEMU created itself. Only the command line distinguishes disks from others. */
const OF_BOARD = /^\/machine\/unattached\//;

export function filesOfBlocks(blocks: readonly QmpBlock[]): FilesByUse {
  const files = (some: readonly QmpBlock[]): string[] => some.map(({ file }) => file);
  return { disks: files(blocks.filter(isDisk)), others: files(blocks.filter(isOther)) };
}

/** Signs of I/O that the host does not see. A disk that was plugged in later is not on the command line. */
export function signsOfBlocks(blocks: readonly QmpBlock[]): QemuIoSign[] {
  return blocks.filter(isDisk).flatMap(({ file }) => signsOfFile(file));
}

function isOther({ qdev, device, removable }: QmpBlock): boolean {
  return removable || FIRMWARE.test(qdev) || (OF_BOARD.test(qdev) && FIRMWARE_DRIVE.test(device));
}

function isDisk(block: QmpBlock): boolean {
  return !isOther(block) && !OF_BOARD.test(block.qdev);
}

export async function readBlock(qmp: QmpConnection, timeoutMs: number): Promise<QmpBlock[]> {
  return parseBlock(await qmp.execute('query-block', timeoutMs));
}
