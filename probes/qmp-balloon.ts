import { z } from 'zod';
import type { QmpConnection } from './qmp-connection.ts';
import { ifAnswered, unexpected } from './qmp-unexpected.ts';

const reply = z.object({ actual: z.number().nonnegative().finite() });

/**
 * Parses the response to `query-balloon`.
 *
 * @returns bytes of memory that the guest has: its size without what the balloon took
 * @throws SourceError malformed
 * @example parseBalloon({ actual: 16777216 }) // 16777216
 */
export function parseBalloon(value: unknown): number {
  const parsed = reply.safeParse(value);
  if (!parsed.success) throw unexpected('query-balloon', value);
  return parsed.data.actual;
}

/** @returns undefined without a balloon device: QEMU refuses the command */
export function readBalloon(qmp: QmpConnection, timeoutMs: number): Promise<number | undefined> {
  return ifAnswered(qmp.execute('query-balloon', timeoutMs).then(parseBalloon));
}
