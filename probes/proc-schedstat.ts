import { malformed } from './errors.ts';
import type { Host } from './host.ts';

export interface CpuSchedstat {
  readonly cpu: number;
  /** Nanoseconds that tasks ran on this CPU. */
  readonly run: number;
  /** Nanoseconds that tasks waited for this CPU. */
  readonly wait: number;
  readonly timeslices: number;
}

const CPU_LINE = /^cpu(\d{1,5}) (?:\d{1,20} ){6}(\d{1,20}) (\d{1,20}) (\d{1,20})$/;

/**
 * Parses `/proc/schedstat`, kernel/sched/stats.c. Requires CONFIG_SCHEDSTATS.
 *
 * @throws SourceError malformed
 * @see https://docs.kernel.org/scheduler/sched-stats.html
 * @example parseSchedstat('version 15\ntimestamp 42\ncpu0 0 0 0 0 0 0 32540597298 9534623214 41635\ndomain0 ...\n')
 */
export function parseSchedstat(text: string): CpuSchedstat[] {
  if (!text.startsWith('version ') || !text.endsWith('\n')) throw malformed('/proc/schedstat', text);
  const cpus: CpuSchedstat[] = [];
  for (const line of text.split('\n')) {
    if (!line.startsWith('cpu')) continue;
    const match = CPU_LINE.exec(line);
    if (match === null) throw malformed('/proc/schedstat', line);
    const [, cpu, run, wait, timeslices] = match;
    cpus.push({ cpu: Number(cpu), run: Number(run), wait: Number(wait), timeslices: Number(timeslices) });
  }
  return cpus;
}

/** With 2,048 CPUs of a kernel for 8,192, each of six domains has a mask of 2 KiB on each CPU. */
const MAX_FILE = 64 * 1024 * 1024;

export function readSchedstat(host: Host): CpuSchedstat[] {
  return parseSchedstat(host.text(`${host.roots.procfs}/schedstat`, MAX_FILE));
}
