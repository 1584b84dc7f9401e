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

const intervals = new Map<string, number>();

/** The longest time between two of the next runs, in milliseconds. Asked for at each sample, so remembered. */
export function intervalOf(expression: string): number {
  const known = intervals.get(expression);
  if (known !== undefined) return known;
  const task = createTask(expression, () => undefined);
  const runs = task.getNextRuns(8).map((run) => run.getTime());
  void task.destroy();
  const interval = Math.max(...runs.slice(1).map((run, i) => run - (runs[i] ?? run)));
  intervals.set(expression, interval);
  return interval;
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
