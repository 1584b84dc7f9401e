/** A thread as shown by the files under `/proc/<pid>/task/<tid>`. */
export interface Task {
  readonly tid: number;
  readonly pid: number;
  readonly comm: string;
  readonly threads: number;
  readonly startTime: number;
  readonly processor: number;
  /** Factor on the template's counters. */
  readonly factor: number;
}

// Field numbers of proc_pid_stat(5).
const UTIME = 14;
const STIME = 15;
const NUM_THREADS = 20;
const STARTTIME = 22;
const PROCESSOR = 39;
const GUEST_TIME = 43;

export function retargetStat(text: string, task: Task): string {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const set = (field: number, value: (old: number) => number): void => {
    fields[field - 3] = String(value(Number(fields[field - 3])));
  };
  set(UTIME, (old) => old * task.factor);
  set(STIME, (old) => old * task.factor);
  set(GUEST_TIME, (old) => old * task.factor);
  set(NUM_THREADS, () => task.threads);
  set(STARTTIME, () => task.startTime);
  set(PROCESSOR, () => task.processor);
  return `${task.tid} (${task.comm}) ${fields.join(' ')}`;
}

export function retargetStatus(text: string, task: Task): string {
  return text
    .replace(/^Name:\t.*$/m, `Name:\t${task.comm}`)
    .replace(/^(Tgid|Ngid|NStgid):\t\d+$/gm, `$1:\t${task.pid}`)
    .replace(/^(Pid|NSpid):\t\d+$/gm, `$1:\t${task.tid}`)
    .replace(/^Threads:\t\d+$/m, `Threads:\t${task.threads}`)
    .replace(
      /^((?:non)?voluntary_ctxt_switches):\t(\d+)$/gm,
      (_, key: string, count: string) => `${key}:\t${Number(count) * task.factor}`,
    );
}

export function retargetSched(text: string, task: Task): string {
  return text
    .replace(/^.*\n/, `${task.comm} (${task.tid}, #threads: ${task.threads})\n`)
    .replace(
      /^(se\.nr_migrations +:)( *\d+)$/m,
      (_, key: string, count: string) => key + String(Number(count) * task.factor).padStart(count.length),
    );
}

export function retargetSchedstat(text: string, task: Task): string {
  return text.replace(/\d+/g, (count) => String(Number(count) * task.factor));
}
