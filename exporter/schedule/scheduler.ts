import type { Logger } from 'pino';
import { type Clocks, every, REAL_CLOCKS, type Task } from './schedule.ts';
import type { TaskName } from './task-runs.ts';

/** Work that is repeated on a schedule. */
export interface ScheduledTask {
  readonly name: TaskName;
  /** A cron expression with seconds. */
  readonly schedule: string;
  run(): Promise<void>;
}

/** Runs tasks on their schedules. Real time and virtual time have one each. */
export interface Scheduler {
  /** Replaces the tasks that were started before. */
  start(tasks: readonly ScheduledTask[]): void;
  stop(): void;
}

/** Runs each task at the times of its cron expression, next to the others. */
export class CronScheduler implements Scheduler {
  #tasks: readonly Task[] = [];

  constructor(
    private readonly logger: Pick<Logger, 'error' | 'info'>,
    private readonly clocks: Clocks = REAL_CLOCKS,
  ) {}

  start(tasks: readonly ScheduledTask[]): void {
    this.stop();
    this.#tasks = tasks.map(({ name, schedule, run }) =>
      every(schedule, name, this.logger, run, this.clocks),
    );
  }

  stop(): void {
    for (const task of this.#tasks) task.stop();
    this.#tasks = [];
  }
}
