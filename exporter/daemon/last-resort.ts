import type { Logger } from 'pino';
import { isExhausted } from '../../probes/errors.ts';

/** The members of `process` that the guard needs. */
export interface Uncaught {
  on(event: 'uncaughtException', listener: (error: unknown) => void): unknown;
  exit(code: number): unknown;
}

/**
 * Minimum time between log lines about descriptor exhaustion. A library that retries at once must not flood
 * the log.
 */
const SAID_EACH_MS = 60_000;

/**
 * Handles uncaught exceptions and unhandled rejections. EMFILE can surface in any callback of Node.js or of a
 * library: the callback fails, and the daemon continues. Any other error is a bug that leaves the state
 * undefined: it is logged, and the process exits so that its supervisor restarts it.
 */
export function guardProcess(
  logger: Pick<Logger, 'error' | 'fatal'>,
  uncaught: Uncaught = process,
  now: () => number = () => performance.now(),
): void {
  let saidAt = Number.NEGATIVE_INFINITY;
  uncaught.on('uncaughtException', (error) => {
    if (!isExhausted(error)) {
      logger.fatal({ err: error }, 'uncaught error: the daemon ends; please report it');
      uncaught.exit(1);
      return;
    }
    if (now() - saidAt < SAID_EACH_MS) return;
    saidAt = now();
    logger.error({ err: error }, 'no file descriptor is free: an operation of the daemon was lost');
  });
}
