import { decimalAt, decimalEnd } from '../kernel/decimal.ts';
import { malformed } from './errors.ts';
import type { Host } from './host.ts';

export interface TaskStatus {
  /** The affinity mask in list format, such as `0-1`; see parseCpuList. */
  readonly cpusAllowedList: string;
  /** Context switches because the task blocked. */
  readonly voluntarySwitches: number;
  /** Context switches because the task was preempted. */
  readonly involuntarySwitches: number;
}

const FORMAT = '/proc/<pid>/status';

/**
 * Parses `/proc/<pid>/task/<tid>/status`, fs/proc/array.c. The kernel escapes newlines in `Name:`, so a name
 * cannot forge a line.
 *
 * @throws SourceError malformed
 * @see https://docs.kernel.org/filesystems/proc.html#id9
 * @example parseTaskStatus('Name:\tIO io0\n...Cpus_allowed_list:\t0-1\n...voluntary_ctxt_switches:\t16895\n...')
 */
export function parseTaskStatus(text: string): TaskStatus {
  return {
    cpusAllowedList: line(text, '\nCpus_allowed_list:\t'),
    voluntarySwitches: count(text, '\nvoluntary_ctxt_switches:\t'),
    involuntarySwitches: count(text, '\nnonvoluntary_ctxt_switches:\t'),
  };
}

function line(text: string, key: string): string {
  const at = text.indexOf(key);
  const end = at < 0 ? -1 : text.indexOf('\n', at + key.length);
  if (end < 0) throw malformed(FORMAT, at < 0 ? `no ${key.trim()}` : text.slice(at));
  return text.slice(at + key.length, end);
}

function count(text: string, key: string): number {
  const at = text.indexOf(key) + key.length;
  if (at < key.length || text[decimalEnd(text, at)] !== '\n' || decimalEnd(text, at) === at) {
    throw malformed(FORMAT, `no number for ${key.trim()}`);
  }
  return decimalAt(text, at);
}

/** The NUMA nodes from which the task may allocate memory, in list format. @throws SourceError */
export function readMemsAllowed(host: Host, task: string): string {
  return line(host.attribute(`${task}/status`), '\nMems_allowed_list:\t');
}

/** @param task `/proc/<pid>/task/<tid>` */
export function readTaskStatus(host: Host, task: string): TaskStatus {
  return parseTaskStatus(host.attribute(`${task}/status`));
}
