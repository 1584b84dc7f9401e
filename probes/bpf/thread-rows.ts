import { NSEC_PER_TICK } from '../../kernel/units.ts';
import { malformed, SourceError } from '../errors.ts';
import type { TaskSchedstat } from '../proc-task-schedstat.ts';
import type { TaskStatus } from '../proc-task-status.ts';
import type { Task, TaskTimes } from '../task.ts';
import { adjustedTimes } from './cputime.ts';
import type { MaskTexts } from './mask-texts.ts';
import { Row, type RowBytes, rowsIn } from './rows.ts';

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
const CORE_SCHED = 8;
const CORE_COOKIE = 16;

/** Data that the rows of one reading share. */
interface Source {
  readonly masks: MaskTexts;
  /** Names the source in errors. */
  readonly format: string;
}

/** A row of probes/bpf/threads.bpf.c. It decodes each value at its use, because a sample needs only two of them. */
export class RowTask extends Row implements Task {
  constructor(
    of: RowBytes,
    at: number,
    size: number,
    private readonly source: Source,
  ) {
    super(of, at, size);
  }

  get tid(): number {
    return this.u32(TID);
  }

  get startTime(): number {
    return this.u64(START);
  }

  get comm(): string {
    const bytes = this.text(COMM, MASK);
    const end = bytes.indexOf('\0');
    return end < 0 ? bytes : bytes.slice(0, end);
  }

  get processor(): number {
    return this.u32(CPU);
  }

  /** SCHED_* of include/uapi/linux/sched.h. */
  get policy(): number {
    return this.u32(POLICY);
  }

  /** As in {@link TaskStat}; that of deadline is -1 in the kernel. */
  get priority(): number {
    return Math.max(0, this.u32(PRIORITY) | 0);
  }

  get hasCoreCookie(): boolean | undefined {
    return this.#has(CORE_SCHED) ? this.#has(CORE_COOKIE) : undefined;
  }

  cpuTimes(): TaskTimes | undefined {
    if (this.#has(TIMES_BEHIND)) return undefined;
    const previous = { utime: this.u64(PREVIOUS_UTIME), stime: this.u64(PREVIOUS_STIME) };
    const { utime, stime } = adjustedTimes({
      utime: this.u64(UTIME),
      stime: this.u64(STIME),
      run: this.u64(RUN),
      previous: this.#has(ADJUSTED) ? previous : undefined,
    });
    return { utime: ticks(utime), stime: ticks(stime), guestTime: ticks(this.u64(GTIME)) };
  }

  schedstat(): TaskSchedstat {
    if (!this.#has(SCHED_INFO))
      throw new SourceError('absent', this.source.format, 'this kernel counts no waiting time');
    const timeslices = this.u64(TIMESLICES);
    // A kernel that has the fields and does not count (no delayacct): /proc has zeros then.
    if (timeslices === 0) return { run: 0, wait: 0, timeslices };
    return { run: this.u64(RUN), wait: this.u64(WAIT), timeslices };
  }

  cpusAllowedList(): string {
    return this.source.masks.of(this.text(MASK, this.size));
  }

  status(): TaskStatus {
    return {
      cpusAllowedList: this.cpusAllowedList(),
      voluntarySwitches: this.u64(VOLUNTARY),
      involuntarySwitches: this.u64(INVOLUNTARY),
    };
  }

  migrations(): number {
    return this.u64(MIGRATIONS);
  }

  #has(field: number): boolean {
    return (this.u32(FIELDS) & field) !== 0;
  }
}

/**
 * Parses the rows of probes/bpf/threads.bpf.c.
 *
 * @param bytes kept by the result
 * @throws SourceError malformed
 */
export function parseThreadRows(bytes: Buffer, format: string, masks: MaskTexts): RowTask[] {
  const source = { masks, format };
  return rowsIn(bytes, format, (of, at, size) => {
    const row = new RowTask(of, at, size, source);
    if (row.kind !== ROW_THREAD)
      throw new SourceError('malformed', format, `unknown kind of row ${row.kind}`);
    // A mask of no CPU does not exist.
    if (size <= MASK || size !== MASK + 8 * row.u32(MASK_WORDS))
      throw malformed(format, `a row of ${size} bytes`);
    return row;
  });
}

function ticks(nanoseconds: number): number {
  return Math.floor(nanoseconds / NSEC_PER_TICK);
}
