import { z } from 'zod';
import type { QmpConnection } from './qmp-connection.ts';
import { unexpected } from './qmp-unexpected.ts';

const schema = z.object({ UUID: z.guid() });

/**
 * Parses the response to `query-uuid`: all zeros for a VM started without a UUID.
 *
 * @throws SourceError malformed
 * @example parseUuid({ UUID: '22222222-2222-3333-4444-555555555541' })
 */
export function parseUuid(reply: unknown): string {
  const parsed = schema.safeParse(reply);
  if (!parsed.success) throw unexpected('query-uuid', reply);
  return parsed.data.UUID.toLowerCase();
}

export async function readUuid(qmp: QmpConnection, timeoutMs: number): Promise<string> {
  return parseUuid(await qmp.execute('query-uuid', timeoutMs));
}
