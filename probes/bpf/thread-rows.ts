import { NSEC_PER_TICK } from '../../kernel/units.ts';
import { malformed, SourceError } from '../errors.ts';
import type { TaskSchedstat } from '../proc-task-schedstat.ts';
import type { TaskStatus } from '../proc-task-status.ts';
import type { Task, TaskTimes } from '../task.ts';
import { adjustedTimes } from './cputime.ts';
import type { MaskTexts } from './mask-texts.ts';
import { type Row, rowsIn } from './rows.ts';

// probes/bpf/rows.h struct thread_row
const ROW_THREAD = 3;
const TID = 16;
const FIELDS = 20;
const CPU = 24;
const POLICY = 28;
const PRIORITY = 32;
const MASK_WORDS = 36;
const RUN = 40;
const WAIT = 48;
const TIMESLICES = 56;
const VOLUNTARY = 64;
const INVOLUNTARY = 72;
const MIGRATIONS = 80;
const UTIME = 88;
const STIME = 96;
const GTIME = 104;
const PREVIOUS_UTIME = 112;
const PREVIOUS_STIME = 120;
const START = 128;
const COMM = 136;
const MASK = 152;

// enum thread_field
const SCHED_INFO = 1;
const ADJUSTED = 2;
const TIMES_BEHIND = 4;

/** A row of probes/bpf/threads.bpf.c. It decodes a value when it is needed: a sample needs two of them. */
export class RowTask implements Task {
  readonly pid: number;
  readonly tid: number;
  readonly startTime: number;

  constructor(
    private readonly row: Row,
    private readonly masks: MaskTexts,
    private readonly format: string,
  ) {
    this.pid = row.pid;
    this.tid = row.u32(TID);
    this.startTime = row.u64(START);
  }

  get comm(): string {
    const bytes = this.row.text(COMM, MASK);
    const end = bytes.indexOf('\0');
    return end < 0 ? bytes : bytes.slice(0, end);
  }

  get processor(): number {
    return this.row.u32(CPU);
  }

  /** SCHED_* of include/uapi/linux/sched.h. */
  get policy(): number {
    return this.row.u32(POLICY);
  }

  /** As in {@link TaskStat}; that of deadline is -1 in the kernel. */
  get priority(): number {
    return Math.max(0, this.row.u32(PRIORITY) | 0);
  }

  cpuTimes(): TaskTimes | undefined {
    if (this.#has(TIMES_BEHIND)) return undefined;
    const { row } = this;
    const previous = { utime: row.u64(PREVIOUS_UTIME), stime: row.u64(PREVIOUS_STIME) };
    const { utime, stime } = adjustedTimes({
      utime: row.u64(UTIME),
      stime: row.u64(STIME),
      run: row.u64(RUN),
      previous: this.#has(ADJUSTED) ? previous : undefined,
    });
    return { utime: ticks(utime), stime: ticks(stime), guestTime: ticks(row.u64(GTIME)) };
  }

  schedstat(): TaskSchedstat {
    if (!this.#has(SCHED_INFO))
      throw new SourceError('absent', this.format, 'this kernel counts no waiting time');
    const { row } = this;
    const timeslices = row.u64(TIMESLICES);
    // A kernel that has the fields and does not count (no delayacct): /proc has zeros then.
    if (timeslices === 0) return { run: 0, wait: 0, timeslices };
    return { run: row.u64(RUN), wait: row.u64(WAIT), timeslices };
  }

  cpusAllowedList(): string {
    return this.masks.of(this.row.text(MASK, this.row.size));
  }

  status(): TaskStatus {
    const { row } = this;
    return {
      cpusAllowedList: this.cpusAllowedList(),
      voluntarySwitches: row.u64(VOLUNTARY),
      involuntarySwitches: row.u64(INVOLUNTARY),
    };
  }

  migrations(): number {
    return this.row.u64(MIGRATIONS);
  }

  #has(field: number): boolean {
    return (this.row.u32(FIELDS) & field) !== 0;
  }
}

/**
 * Parses the rows of probes/bpf/threads.bpf.c.
 *
 * @param bytes kept by the result
 * @throws SourceError malformed
 */
export function parseThreadRows(bytes: Buffer, format: string, masks: MaskTexts): RowTask[] {
  const tasks: RowTask[] = [];
  for (const row of rowsIn(bytes, format)) {
    if (row.kind !== ROW_THREAD)
      throw new SourceError('malformed', format, `unknown kind of row ${row.kind}`);
    // A mask of no CPU does not exist.
    if (row.size <= MASK || row.size !== MASK + 8 * row.u32(MASK_WORDS))
      throw malformed(format, `a row of ${row.size} bytes`);
    tasks.push(new RowTask(row, masks, format));
  }
  return tasks;
}

function ticks(nanoseconds: number): number {
  return Math.floor(nanoseconds / NSEC_PER_TICK);
}
