import type { Host } from './host.ts';
import { readTaskMigrations } from './proc-task-sched.ts';
import { readTaskSchedstat, type TaskSchedstat } from './proc-task-schedstat.ts';
import { readTaskStat, type TaskStat } from './proc-task-stat.ts';
import { readTaskStatus, type TaskStatus } from './proc-task-status.ts';
import type { Task, TaskTimes } from './task.ts';

/** A thread in /proc. Its `stat` is read at once, the other files when they are needed. */
export class ProcTask implements Task {
  private constructor(
    readonly tid: number,
    private readonly host: Host,
    private readonly path: string,
    private readonly stat: TaskStat,
  ) {}

  /**
   * @param path `/proc/<pid>/task/<tid>`, or `/proc/<tid>`
   * @returns undefined if the thread has ended and nobody has waited for it yet
   * @throws SourceError
   */
  static read(host: Host, tid: number, path: string): ProcTask | undefined {
    const stat = readTaskStat(host, path);
    return stat.state === 'Z' || stat.state === 'X' ? undefined : new ProcTask(tid, host, path, stat);
  }

  get comm(): string {
    return this.stat.comm;
  }

  get startTime(): number {
    return this.stat.startTime;
  }

  get processor(): number {
    return this.stat.processor;
  }

  get policy(): number {
    return this.stat.policy;
  }

  get priority(): number {
    return this.stat.priority;
  }

  cpuTimes(): TaskTimes {
    return this.stat;
  }

  schedstat(): TaskSchedstat {
    return readTaskSchedstat(this.host, this.path);
  }

  cpusAllowedList(): string {
    return this.status().cpusAllowedList;
  }

  status(): TaskStatus {
    return readTaskStatus(this.host, this.path);
  }

  migrations(): number {
    return readTaskMigrations(this.host, this.path);
  }
}
