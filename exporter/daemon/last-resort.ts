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
const LOG_INTERVAL_MS = 60_000;

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
  let loggedAt = Number.NEGATIVE_INFINITY;
  uncaught.on('uncaughtException', (error) => {
    if (!isExhausted(error)) {
      logger.fatal({ err: error }, 'uncaught error, exiting: please report it');
      uncaught.exit(1);
      return;
    }
    if (now() - loggedAt < LOG_INTERVAL_MS) return;
    loggedAt = now();
    logger.error({ err: error }, 'no file descriptor is free: one operation failed');
  });
}
