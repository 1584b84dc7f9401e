import { decimalAt, decimalEnd } from '../kernel/decimal.ts';
import { MSEC_PER_SEC } from '../kernel/units.ts';
import { malformed } from './errors.ts';
import type { Host } from './host.ts';

/**
 * se.nr_migrations is the fourth line below the ruler. Before Linux 4.6, lines of se.statistics of up to 60
 * bytes each may precede it. The whole file has 2 KB to 8 KB.
 */
const HEAD = 4096;
/** With schedstats and a line for each NUMA node. */
const WHOLE = 32 * 1024;
const KEY = '\nse.nr_migrations ';

/**
 * Parses `/proc/<pid>/task/<tid>/sched`, kernel/sched/debug.c. Requires CONFIG_SCHED_DEBUG. The first line
 * contains the raw thread name (15 bytes), which may contain newlines, so only the part below the ruler is
 * parsed.
 *
 * @returns se.nr_migrations: how often the scheduler moved the task to another CPU
 * @throws SourceError malformed
 * @example parseTaskMigrations('IO io0 (246, #threads: 6)\n------...\nse.nr_migrations      :      713\n')
 */
export function parseTaskMigrations(text: string): number {
  const ruler = text.indexOf('\n--------------------');
  const key = ruler < 0 ? -1 : text.indexOf(KEY, ruler);
  if (key < 0) throw malformed('/proc/<pid>/sched', text);
  let at = afterSpaces(text, key + KEY.length);
  if (text[at] === ':') at = afterSpaces(text, at + 1);
  if (text[decimalEnd(text, at)] !== '\n' || decimalEnd(text, at) === at) {
    throw malformed('/proc/<pid>/sched', text.slice(key));
  }
  return decimalAt(text, at);
}

function afterSpaces(text: string, start: number): number {
  let at = start;
  while (text[at] === ' ') at++;
  return at;
}

/** @param task `/proc/<pid>/task/<tid>` */
export function readTaskMigrations(host: Host, task: string): number {
  return parseTaskMigrations(host.head(`${task}/sched`, HEAD));
}

/** The scheduler's data on a thread, as far as this kernel has it. */
export interface TaskSched {
  /** Limits of its utilization from 0 to 1024, with those of its cgroup: CONFIG_UCLAMP_TASK. */
  readonly uclampMin: number | undefined;
  readonly uclampMax: number | undefined;
  /** Whether a BPF scheduler schedules it: CONFIG_SCHED_CLASS_EXT, Linux 6.12. */
  readonly isExt: boolean | undefined;
  /** Seconds for which core scheduling left a sibling of its CPU idle: CONFIG_SCHED_CORE and schedstats, Linux 5.17. */
  readonly forcedIdleSeconds: number | undefined;
  /** Pages that NUMA balancing moved for it: CONFIG_NUMA_BALANCING. */
  readonly numaPagesMigrated: number | undefined;
}

const FIELD = /^([\w.> -]{1,60}?) *: *(\d{1,20}(?:\.\d{1,6})?)$/gm;

/**
 * Parses the rest of the same file, below the ruler.
 *
 * @throws SourceError malformed
 * @example parseTaskSched('vm (1, #threads: 1)\n-----...\neffective uclamp.max : 512\nnuma_pages_migrated : 7\n')
 */
export function parseTaskSched(text: string): TaskSched {
  const ruler = text.indexOf('\n--------------------');
  if (ruler < 0) throw malformed('/proc/<pid>/sched', text);
  const fields = new Map<string, number>();
  for (const [, name = '', value] of text.slice(ruler).matchAll(FIELD)) fields.set(name, Number(value));
  const isExt = fields.get('ext.enabled');
  const forcedIdle = fields.get('core_forceidle_sum');
  return {
    uclampMin: fields.get('effective uclamp.min'),
    uclampMax: fields.get('effective uclamp.max'),
    isExt: isExt === undefined ? undefined : isExt > 0,
    // The kernel prints milliseconds.
    forcedIdleSeconds: forcedIdle === undefined ? undefined : forcedIdle / MSEC_PER_SEC,
    numaPagesMigrated: fields.get('numa_pages_migrated'),
  };
}

/** @param task `/proc/<pid>/task/<tid>` */
export function readTaskSched(host: Host, task: string): TaskSched {
  return parseTaskSched(host.head(`${task}/sched`, WHOLE));
}
