import {
  type Logger as CronLogger,
  createTask,
  type ScheduledTask,
  schedule,
  validateDetailed,
} from 'node-cron';
import type { Logger } from 'pino';

export interface Task {
  stop(): Promise<void>;
}

/**
 * Runs `work` at each tick of a cron expression with seconds. A run that takes longer than the interval makes the next
 * one be left out; a run that throws is logged and costs nothing else.
 */
export function every(
  expression: string,
  name: string,
  logger: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>,
  work: () => Promise<void>,
): Task {
  const task: ScheduledTask = schedule(
    expression,
    async () => {
      try {
        await work();
      } catch (error) {
        logger.error({ err: error, task: name }, `${name} failed`);
      }
    },
    { name, noOverlap: true, suppressMissedWarning: true, logger: cronLogger(logger) },
  );
  return {
    async stop() {
      await task.destroy();
    },
  };
}

/** What is wrong with a cron expression; undefined where nothing is. */
export function cronProblem(expression: string): string | undefined {
  const { valid, errors } = validateDetailed(expression);
  return valid
    ? undefined
    : errors.map(({ field, message }) => `${field}: ${message}`).join('; ') || 'not a cron expression';
}

/** The time between the next two runs, in milliseconds. */
export function intervalOf(expression: string): number {
  const task = createTask(expression, () => undefined);
  const [first, second] = task.getNextRuns(2);
  void task.destroy();
  return (second?.getTime() ?? Number.POSITIVE_INFINITY) - (first?.getTime() ?? 0);
}

/** An overlap is expected on a loaded host, and said at debug level only. */
function cronLogger(logger: Pick<Logger, 'debug' | 'error'>): CronLogger {
  return {
    info: (message) => logger.debug(message),
    warn: (message) => logger.debug(message),
    debug: (message) => logger.debug(String(message)),
    error: (message) => logger.error(String(message)),
  };
}
