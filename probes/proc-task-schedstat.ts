import { decimalAt, decimalEnd } from '../kernel/decimal.ts';
import { malformed } from './errors.ts';
import type { Host } from './host.ts';

export interface TaskSchedstat {
  /** Nanoseconds on a CPU. */
  readonly run: number;
  /** Nanoseconds runnable in a run queue, waiting for a CPU. */
  readonly wait: number;
  readonly timeslices: number;
}

/**
 * Parses `/proc/<pid>/task/<tid>/schedstat`, fs/proc/base.c: `0 0 0` if the kernel keeps no sched_info.
 *
 * @throws SourceError malformed
 * @see https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat
 * @example parseTaskSchedstat('14496712822 6163333139 19684\n')
 */
export function parseTaskSchedstat(text: string): TaskSchedstat {
  const afterRun = decimalEnd(text, 0);
  const afterWait = decimalEnd(text, afterRun + 1);
  const end = decimalEnd(text, afterWait + 1);
  const wellFormed =
    afterRun > 0 &&
    text[afterRun] === ' ' &&
    afterWait > afterRun + 1 &&
    text[afterWait] === ' ' &&
    end > afterWait + 1 &&
    text[end] === '\n';
  if (!wellFormed) throw malformed('/proc/<pid>/schedstat', text);
  return {
    run: decimalAt(text, 0),
    wait: decimalAt(text, afterRun + 1),
    timeslices: decimalAt(text, afterWait + 1),
  };
}

/** @param task `/proc/<pid>/task/<tid>` */
export function readTaskSchedstat(host: Host, task: string): TaskSchedstat {
  return parseTaskSchedstat(host.attribute(`${task}/schedstat`));
}
