import { decimalAt, decimalEnd } from '../kernel/decimal.ts';
import { malformed } from './errors.ts';
import type { Host } from './host.ts';

/**
 * se.nr_migrations is the fourth line below the ruler. Before Linux 4.6, lines of se.statistics of up to 60
 * bytes each may precede it. The whole file has 2 KB to 8 KB.
 */
const HEAD = 4096;
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
