import { MSEC_PER_SEC } from '../../kernel/units.ts';
import { isGone, type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readTaskStat } from '../../probes/proc-task-stat.ts';
import type { Task } from '../../probes/task.ts';
import { newResidency, observe, type Residency } from '../model/residency.ts';
import { SAMPLED_ROLES } from '../model/roles.ts';
import { NO_SNAPSHOT, type ThreadSnapshot } from '../model/thread-snapshot.ts';
import type { Vm, VmThread } from '../model/vm.ts';
import { Yielder } from '../schedule/yielder.ts';

/** A gap longer than this many intervals (daemon stopped, host suspended) is not credited to any CPU. */
const MAX_GAP_INTERVALS = 3;
const MAX_PROBLEMS = 16;

export interface SamplerSettings {
  /** Number of CPUs per thread with a count of their own. */
  readonly maxCpus: number;
  readonly intervalMs: number;
}

/**
 * Samples on which CPU each vCPU and I/O thread runs. Without BPF, one sample of a thread costs one read of
 * `/proc/<pid>/task/<tid>/stat` (cost: docs/performance.md). The time between two samples is credited to the
 * CPU of the second one. Migrations between samples are missed, so the kernel's own count is exported as
 * well.
 */
export class Sampler {
  /** A reused tid gets a new thread object: see ThreadTable. */
  readonly #residencies = new WeakMap<VmThread, Residency>();
  #last: number | undefined;

  constructor(
    private readonly host: Host,
    private settings: SamplerSettings,
    private readonly now: () => number = () => performance.now(),
  ) {}

  configure(settings: SamplerSettings): void {
    this.settings = settings;
  }

  /**
   * Takes one sample of every long-lived thread on the I/O path.
   *
   * @param snapshot the threads now; those that it lacks are read from /proc
   * @returns read errors; a thread that has exited is not an error
   */
  async sample(
    vms: readonly Vm[],
    threadsOf: (vm: Vm) => Iterable<VmThread>,
    snapshot: ThreadSnapshot = NO_SNAPSHOT,
  ): Promise<readonly SourceError[]> {
    const yielder = new Yielder();
    const problems: SourceError[] = [];
    const { maxCpus, intervalMs } = this.settings;
    const at = this.now();
    const gap = at - (this.#last ?? at);
    this.#last = at;
    const seconds = gap <= intervalMs * MAX_GAP_INTERVALS ? gap / MSEC_PER_SEC : 0;
    for (const vm of vms) {
      if (yielder.isDue()) await yielder.yield();
      for (const thread of threadsOf(vm)) {
        if (!SAMPLED_ROLES.has(thread.role)) continue;
        try {
          this.#sampleThread(thread, snapshot.of(thread), seconds, maxCpus);
        } catch (error) {
          if (!isGone(error) && problems.length < MAX_PROBLEMS)
            problems.push(sourceError(error, thread.path));
        }
      }
    }
    return problems;
  }

  /** undefined for a thread without a sample. */
  residencyOf(thread: VmThread): Residency | undefined {
    return this.#residencies.get(thread);
  }

  #sampleThread(thread: VmThread, task: Task | undefined, seconds: number, maxCpus: number): void {
    const { startTime, processor } = task ?? readTaskStat(this.host, thread.path);
    if (startTime !== thread.startTime) return;
    const residency = this.#residencies.get(thread);
    if (residency !== undefined) observe(residency, processor, seconds, maxCpus);
    else this.#residencies.set(thread, newResidency(processor));
  }
}
