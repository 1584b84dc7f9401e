/** Tasks that run on their own schedule between scrapes. Each uses the results of those before it. */
export const TASKS = ['inventory', 'memory', 'sampler', 'trace', 'stages', 'record', 'report'] as const;
export type TaskName = (typeof TASKS)[number];
/** Tasks that run only if they are configured. */
type OptionalTask = 'record' | 'report';
/** One value for each task that runs. */
export type ByTask<T> = Readonly<
  Record<Exclude<TaskName, OptionalTask>, T> & Partial<Record<OptionalTask, T>>
>;

/** State of one task. */
export interface TaskReading {
  readonly task: TaskName;
  /** Time since the last completed run, or since the daemon started if none has completed. */
  readonly ageSeconds: number;
  readonly intervalSeconds: number;
}

/** Records when each task last completed. */
export class TaskRuns {
  readonly #endedAt: Map<TaskName, number>;

  /** @param now milliseconds of a monotonic clock */
  constructor(private readonly now: () => number) {
    this.#endedAt = new Map(TASKS.map((task) => [task, now()]));
  }

  /** Runs the work of a task. A run that throws does not count as completed. */
  async run(task: TaskName, work: () => Promise<void>): Promise<void> {
    await work();
    this.#endedAt.set(task, this.now());
  }

  /** @param intervalMs currently configured interval of each task; undefined if it does not run */
  read(intervalMs: (task: TaskName) => number | undefined): TaskReading[] {
    const now = this.now();
    return [...this.#endedAt].flatMap(([task, endedAt]) => {
      const interval = intervalMs(task);
      if (interval === undefined) return [];
      return [{ task, ageSeconds: (now - endedAt) / 1000, intervalSeconds: interval / 1000 }];
    });
  }
}
