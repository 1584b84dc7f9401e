import type { SimThread } from './thread.ts';
import type { TraceSink } from './trace/sink.ts';

/** Emits the scheduler's tracepoints that match the scheduler's counters. */
export class SchedEvents {
  readonly #before = new WeakMap<SimThread, { switches: number; migrations: number }>();

  emit(threads: readonly SimThread[], sink: TraceSink): void {
    const wantsSwitches = sink.wants('sched/sched_switch');
    const wantsMoves = sink.wants('sched/sched_migrate_task');
    for (const thread of threads) {
      const { tid, switches, cpu } = thread;
      const migrations = thread.migrations.value;
      const before = this.#before.get(thread) ?? { switches: 0, migrations: 0 };
      // The thread that switches out is in `prev` and is the current task of the event. For a migration the
      // current task is the one that wakes or pulls the thread.
      if (wantsSwitches)
        sink.count(
          'sched/sched_switch',
          { common_pid: tid, prev_pid: tid, next_pid: 0 },
          switches - before.switches,
        );
      if (wantsMoves)
        sink.count(
          'sched/sched_migrate_task',
          { common_pid: 0, pid: tid, dest_cpu: cpu },
          migrations - before.migrations,
        );
      this.#before.set(thread, { switches, migrations });
    }
  }
}
