import { readdirSync, readFileSync } from 'node:fs';

/**
 * Total CPU seconds of a process: the sum over its threads in nanoseconds, because /proc/<pid>/stat counts in
 * 10 ms ticks.
 */
export function cpuSeconds(pid: number): number {
  let nanoseconds = 0;
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number.parseInt(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1'), 10);
  }
  return nanoseconds / 1e9;
}

export interface Memory {
  readonly rssMiB: number;
  readonly peakMiB: number;
}

export function memory(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const kibibytes = (key: string): number =>
    Number(new RegExp(`^${key}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1]);
  return { rssMiB: kibibytes('VmRSS') / 1024, peakMiB: kibibytes('VmHWM') / 1024 };
}
