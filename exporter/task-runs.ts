/** The tasks that run by themselves between scrapes. */
export const TASKS = ['inventory', 'stages', 'sampler', 'trace'] as const;
export type TaskName = (typeof TASKS)[number];

/** How one task does. */
export interface TaskReading {
  readonly task: TaskName;
  /** Since it last ran to its end; for one that never did, since the daemon started. */
  readonly ageSeconds: number;
  readonly intervalSeconds: number;
}

/** When each task last ran to its end. */
export class TaskRuns {
  readonly #endedAt: Map<TaskName, number>;

  /** @param now milliseconds of a clock that never jumps */
  constructor(private readonly now: () => number) {
    this.#endedAt = new Map(TASKS.map((task) => [task, now()]));
  }

  /** Runs the work of a task. A run that throws is none that ended. */
  async run(task: TaskName, work: () => Promise<void>): Promise<void> {
    await work();
    this.#endedAt.set(task, this.now());
  }

  /** @param intervalMs of each task, as it is configured now */
  read(intervalMs: (task: TaskName) => number): TaskReading[] {
    const now = this.now();
    return [...this.#endedAt].map(([task, endedAt]) => ({
      task,
      ageSeconds: (now - endedAt) / 1000,
      intervalSeconds: intervalMs(task) / 1000,
    }));
  }
}
