import { createTask, type ScheduledTask, validateDetailed } from 'node-cron';
import type { Logger } from 'pino';
import { MSEC_PER_SEC } from '../../kernel/units.ts';

export interface Task {
  stop(): void;
}

/** The two clocks of a host, in milliseconds. */
export interface Clocks {
  /** Never jumps. */
  monotonic(): number;
  /** The clock of cron expressions. It jumps when it is set. */
  wall(): number;
}

export const REAL_CLOCKS: Clocks = { monotonic: () => performance.now(), wall: () => Date.now() };

/** Longest timer. A step of the wall clock is detected within this time. */
const CLOCK_CHECK_MS = 1000;
const MSEC_PER_MIN = 60_000;
/** Difference between the clocks at which the next run is planned again: NTP slews by 0.5 ms per second. */
const STEP_MS = 100;
/** A timer may fire slightly before its second. A run due within this time is the same run. */
const EARLY_MS = 20;
/** If the wall clock keeps jumping, a run is still due after this many intervals. */
const MAX_INTERVALS = 2;

/**
 * Runs `work` at the times of a cron expression with seconds. node-cron computes the next run from the wall
 * clock; the wait uses the monotonic clock. Runs that fall into a run still in progress are skipped. A
 * failing task logs its first failure and its recovery, and stays scheduled.
 */
export function every(
  expression: string,
  name: string,
  logger: Pick<Logger, 'error' | 'info'>,
  work: () => Promise<void>,
  clocks: Clocks = REAL_CLOCKS,
): Task {
  const plan = createTask(expression, () => undefined);
  const runsAfter = runsOf(plan, expression, clocks);
  const intervalMs = intervalOf(expression);
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let latest = Number.POSITIVE_INFINITY;
  let due = 0;
  let offset = 0;
  let failure: string | undefined;

  const planNext = (): void => {
    const [monotonic, wall] = [clocks.monotonic(), clocks.wall()];
    offset = wall - monotonic;
    const delays = runsAfter(wall).map((run) => run - wall);
    due = Math.min(latest, monotonic + (delays.find((delay) => delay >= EARLY_MS) ?? intervalMs));
  };
  const wait = (): void => {
    timer = setTimeout(() => void wake(), Math.min(CLOCK_CHECK_MS, Math.max(0, due - clocks.monotonic())));
  };
  const run = async (): Promise<void> => {
    try {
      await work();
      if (failure !== undefined) logger.info({ task: name }, `task ${name} succeeds again`);
      failure = undefined;
    } catch (error) {
      // A task that fails every second must not flood the log.
      if (failure !== String(error)) logger.error({ err: error, task: name }, `task ${name} failed`);
      failure = String(error);
    }
  };
  const wake = async (): Promise<void> => {
    if (Math.abs(clocks.wall() - clocks.monotonic() - offset) > STEP_MS && clocks.monotonic() < due)
      planNext();
    if (clocks.monotonic() >= due - 1) {
      await run();
      latest = clocks.monotonic() + MAX_INTERVALS * intervalMs;
      planNext();
    }
    if (!isStopped) wait();
  };

  planNext();
  wait();
  return {
    stop() {
      isStopped = true;
      clearTimeout(timer);
      void plan.destroy();
    },
  };
}

/**
 * The next two runs after a time of the wall clock, in milliseconds of the epoch. node-cron's search in the calendar
 * takes a millisecond. If only the seconds are given, all minutes are alike, and the search is not repeated.
 */
function runsOf(
  plan: Pick<ScheduledTask, 'getNextRuns'>,
  expression: string,
  clocks: Clocks,
): (wall: number) => number[] {
  const search = (): number[] => plan.getNextRuns(2).map((run) => run.getTime());
  const [, ...fields] = expression.trim().split(/\s+/);
  if (fields.length !== 5 || fields.some((field) => field !== '*')) return search;
  const delays = new Map<number, readonly number[]>();
  return (wall) => {
    const second = wall - (wall % MSEC_PER_SEC);
    const inMinute = second % MSEC_PER_MIN;
    const known = delays.get(inMinute);
    if (known !== undefined) return known.map((delay) => second + delay);
    const found = search();
    const delay = found.map((run) => run - second);
    // node-cron reads the clock itself. A second later the result would differ.
    if (clocks.wall() - second < MSEC_PER_SEC) delays.set(inMinute, delay);
    return found;
  };
}

/** The error in a cron expression; undefined if it is valid. */
export function cronProblem(expression: string): string | undefined {
  const { valid, errors } = validateDetailed(expression);
  if (!valid)
    return errors.map(({ field, message }) => `${field}: ${message}`).join('; ') || 'not a cron expression';
  try {
    intervalOf(expression);
    return undefined;
  } catch {
    return 'never due';
  }
}

/** Longest time between consecutive upcoming runs, in milliseconds. */
export function intervalOf(expression: string): number {
  const task = createTask(expression, () => undefined);
  try {
    const runs = task.getNextRuns(8).map((run) => run.getTime());
    return Math.max(...runs.slice(1).map((run, i) => run - (runs[i] ?? run)));
  } finally {
    void task.destroy();
  }
}
