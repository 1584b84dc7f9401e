import { z } from 'zod';
import { malformed } from './errors.ts';
import type { QmpConnection } from './qmp-connection.ts';

const schema = z.object({ UUID: z.guid() });

/**
 * `query-uuid`: all zeros for a VM started without one.
 *
 * @throws SourceError malformed
 * @example parseUuid({ UUID: '22222222-2222-3333-4444-555555555541' })
 */
export function parseUuid(reply: unknown): string {
  const parsed = schema.safeParse(reply);
  if (!parsed.success) throw malformed('QMP query-uuid', JSON.stringify(reply)?.slice(0, 200) ?? 'nothing');
  return parsed.data.UUID.toLowerCase();
}

export async function readUuid(qmp: QmpConnection, timeoutMs: number): Promise<string> {
  return parseUuid(await qmp.execute('query-uuid', timeoutMs));
}
