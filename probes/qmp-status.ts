import { z } from 'zod';
import type { QmpConnection } from './qmp-connection.ts';
import { unexpected } from './qmp-unexpected.ts';

const status = z.object({ status: z.string().regex(/^[a-z-]{1,32}$/) });

/**
 * Parses the response to `query-status`: QEMU's RunState.
 *
 * @returns `running`, `paused`, `shutdown`, `inmigrate`, `postmigrate`, ...
 * @throws SourceError malformed
 * @example parseStatus({ status: 'running', running: true }) // 'running'
 */
export function parseStatus(reply: unknown): string {
  const parsed = status.safeParse(reply);
  if (!parsed.success) throw unexpected('query-status', reply);
  return parsed.data.status;
}

export async function readStatus(qmp: QmpConnection, timeoutMs: number): Promise<string> {
  return parseStatus(await qmp.execute('query-status', timeoutMs));
}
