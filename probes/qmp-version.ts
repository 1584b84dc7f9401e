import { z } from 'zod';
import type { QmpConnection } from './qmp-connection.ts';
import { unexpected } from './qmp-unexpected.ts';

const part = z.int().min(0).max(9999);
const version = z.object({ qemu: z.object({ major: part, minor: part, micro: part }) });

/**
 * Parses the response to `query-version`.
 *
 * @throws SourceError malformed
 * @example parseVersion({ qemu: { major: 7, minor: 2, micro: 22 }, package: '...' }) // '7.2.22'
 */
export function parseVersion(reply: unknown): string {
  const parsed = version.safeParse(reply);
  if (!parsed.success) throw unexpected('query-version', reply);
  const { major, minor, micro } = parsed.data.qemu;
  return `${major}.${minor}.${micro}`;
}

export async function readVersion(qmp: QmpConnection, timeoutMs: number): Promise<string> {
  return parseVersion(await qmp.execute('query-version', timeoutMs));
}
