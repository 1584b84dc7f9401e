import { z } from 'zod';
import type { QmpConnection } from './qmp-connection.ts';
import { unexpected } from './qmp-unexpected.ts';

/** A vCPU as QEMU reports it. */
export interface QmpCpu {
  readonly index: number;
  readonly qomPath: string;
  readonly threadId: number;
}

const schema = z
  .array(
    z
      .object({
        'cpu-index': z.int().min(0).max(65_535),
        'qom-path': z.string().max(512),
        'thread-id': z.int().positive(),
      })
      .transform((cpu) => ({
        index: cpu['cpu-index'],
        qomPath: cpu['qom-path'],
        threadId: cpu['thread-id'],
      })),
  )
  .max(4096);

/**
 * Parses the response to `query-cpus-fast`: the index and thread of each vCPU's QOM path.
 *
 * @throws SourceError malformed
 * @example parseCpus([{ 'cpu-index': 0, 'qom-path': '/machine/unattached/device[0]', 'thread-id': 252 }])
 */
export function parseCpus(reply: unknown): QmpCpu[] {
  const parsed = schema.safeParse(reply);
  if (!parsed.success) throw unexpected('query-cpus-fast', reply);
  return parsed.data;
}

export async function readCpus(qmp: QmpConnection, timeoutMs: number): Promise<QmpCpu[]> {
  return parseCpus(await qmp.execute('query-cpus-fast', timeoutMs));
}
