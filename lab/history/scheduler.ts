import { intervalOf } from '../../exporter/schedule/schedule.ts';
import type { ScheduledTask, Scheduler } from '../../exporter/schedule/scheduler.ts';

interface Planned {
  readonly task: ScheduledTask;
  readonly intervalSeconds: number;
  ranAt: number;
}

/** Runs tasks in virtual time: one after the other, in their order, when the caller moves the time. */
export class VirtualScheduler implements Scheduler {
  #tasks: readonly Planned[] = [];

  /** @param now seconds */
  constructor(private readonly now: () => number) {}

  start(tasks: readonly ScheduledTask[]): void {
    const ranAt = this.now();
    this.#tasks = tasks.map((task) => ({
      task,
      intervalSeconds: intervalOf(task.schedule) / 1000,
      ranAt,
    }));
  }

  stop(): void {
    this.#tasks = [];
  }

  /** Runs the tasks that are due now, each at most once, and waits for them. */
  async runDue(): Promise<void> {
    const now = this.now();
    for (const planned of this.#tasks) {
      if (now - planned.ranAt < planned.intervalSeconds) continue;
      planned.ranAt = now;
      await planned.task.run();
    }
  }
}
