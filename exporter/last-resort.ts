import type { Logger } from 'pino';
import { isExhausted } from '../probes/errors.ts';

/** What of `process` is needed. */
export interface Uncaught {
  on(event: 'uncaughtException', listener: (error: unknown) => void): unknown;
  exit(code: number): unknown;
}

/** Lines about one shortage after another; a library that retries at once must not fill the log. */
const SAID_EACH_MS = 60_000;

/**
 * For errors that nothing caught, rejected promises among them. That no descriptor is free may surface in any callback
 * of Node.js or of a library: it costs that callback, and the daemon goes on. All else is a bug, after which nobody knows
 * what still holds: it is logged, and the process ends for its supervisor to start it again.
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
