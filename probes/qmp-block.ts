import { z } from 'zod';
import type { QmpConnection } from './qmp-connection.ts';
import { unexpected } from './qmp-unexpected.ts';

/** What a disk is made of. */
export interface QmpBlock {
  readonly qdev: string;
  readonly device: string;
  readonly nodeName: string;
  /** The image or host device; a name that the tenant may have chosen. */
  readonly file: string;
  /** Block driver: `qcow2`, `raw`, `host_device`, ... */
  readonly driver: string;
  /** A CD-ROM or floppy drive, which is no disk whose way matters. */
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
  .max(1024);

/**
 * `query-block`. A drive without media is left out.
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

export async function readBlock(qmp: QmpConnection, timeoutMs: number): Promise<QmpBlock[]> {
  return parseBlock(await qmp.execute('query-block', timeoutMs));
}
