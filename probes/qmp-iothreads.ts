import { z } from 'zod';
import type { QmpConnection } from './qmp-connection.ts';
import { unexpected } from './qmp-unexpected.ts';

/** An IOThread and its polling parameters, iothread.c. */
export interface QmpIothread {
  readonly id: string;
  readonly threadId: number;
  /** Maximum busy-polling time in nanoseconds; 0 if polling is disabled. */
  readonly pollMaxNs: number;
  /** Factor by which the polling time grows; 0 means QEMU's default of 2. */
  readonly pollGrow: number;
  /** Divisor by which the polling time shrinks; 0 resets it to 0 at once. */
  readonly pollShrink: number;
  /** Shift of the weight of the last interval in the polling time; 0 means QEMU's default of 3. undefined before QEMU has it. */
  readonly pollWeight: number | undefined;
  /** Maximum requests per batch of the AIO engine; 0 means the engine's default. */
  readonly aioMaxBatch: number;
}

const count = z
  .number()
  .nonnegative()
  .max(2 ** 64);
const schema = z
  .array(
    z
      .object({
        id: z.string().max(256),
        'thread-id': z.int().positive(),
        'poll-max-ns': count.default(0),
        'poll-grow': count.default(0),
        'poll-shrink': count.default(0),
        'poll-weight': count.optional(),
        'aio-max-batch': count.default(0),
      })
      .transform((thread) => ({
        id: thread.id,
        threadId: thread['thread-id'],
        pollMaxNs: thread['poll-max-ns'],
        pollGrow: thread['poll-grow'],
        pollShrink: thread['poll-shrink'],
        pollWeight: thread['poll-weight'],
        aioMaxBatch: thread['aio-max-batch'],
      })),
  )
  .max(4096);

/**
 * Parses the response to `query-iothreads`. `aio-max-batch` requires QEMU 6.1; QEMU before 2.9 does not poll
 * and has no fields for it.
 *
 * @throws SourceError malformed
 * @example parseIothreads([{ id: 'io0', 'thread-id': 246, 'poll-max-ns': 32768, 'poll-grow': 0, 'poll-shrink': 0 }])
 */
export function parseIothreads(reply: unknown): QmpIothread[] {
  const parsed = schema.safeParse(reply);
  if (!parsed.success) throw unexpected('query-iothreads', reply);
  return parsed.data;
}

export async function readIothreads(qmp: QmpConnection, timeoutMs: number): Promise<QmpIothread[]> {
  return parseIothreads(await qmp.execute('query-iothreads', timeoutMs));
}
