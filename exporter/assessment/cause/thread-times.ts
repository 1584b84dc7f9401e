import { NSEC_PER_SEC } from '../../../kernel/units.ts';
import type { TaskSchedstat } from '../../../probes/proc-task-schedstat.ts';
import { ioPathThreads } from '../../model/io-path-cpus.ts';
import type { ThreadObservation } from '../../model/vm.ts';

/** Threads that an I/O passes. */
export type Part = 'vcpu' | 'io';

/** Of one part, summed over its threads. */
export interface PartTimes {
  readonly threads: number;
  /** Seconds on a CPU, and in run queues. */
  readonly run: number;
  readonly wait: number;
  /** CPUs on which they ran last. */
  readonly cpus: readonly number[];
}

export interface ThreadTimes {
  /** Milliseconds of a monotonic clock. */
  readonly at: number;
  readonly parts: Readonly<Record<Part, PartTimes>>;
}

/** @returns undefined without threads, and if the kernel does not count their waits */
export function threadTimes(observations: readonly ThreadObservation[], at: number): ThreadTimes | undefined {
  const { vcpu: vcpus = [], ...others } = Object.fromEntries(ioPathThreads(observations));
  const [vcpu, io] = [sumOf(vcpus), sumOf(Object.values(others).flat())];
  if (vcpu === undefined || io === undefined || vcpu.run === 0) return undefined;
  return { at, parts: { vcpu, io } };
}

function sumOf(observations: readonly ThreadObservation[]): PartTimes | undefined {
  let [run, wait] = [0, 0];
  const cpus = new Set<number>();
  for (const { task } of observations) {
    const times = timesOf(() => task.schedstat());
    if (times === undefined) return undefined;
    run += times.run / NSEC_PER_SEC;
    wait += times.wait / NSEC_PER_SEC;
    cpus.add(task.processor);
  }
  return { threads: observations.length, run, wait, cpus: [...cpus] };
}

/** A thread that exits makes this round unknown: its time would be missing. */
function timesOf(read: () => TaskSchedstat): TaskSchedstat | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
