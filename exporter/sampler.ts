import { isGone, type SourceError, sourceError } from '../probes/errors.ts';
import type { Host } from '../probes/host.ts';
import { readTaskStat } from '../probes/proc-task-stat.ts';
import { newResidency, observe, type Residency } from './model/residency.ts';
import { SAMPLED_ROLES } from './model/roles.ts';
import type { Vm, VmThread } from './model/vm.ts';
import { Pace } from './pace.ts';

/** A gap longer than this many intervals (a stopped daemon, a suspended host) is not credited to any CPU. */
const MAX_GAP_INTERVALS = 3;
const MAX_PROBLEMS = 16;

export interface SamplerSettings {
  /** CPUs per thread that are counted apart. */
  readonly maxCpus: number;
  readonly intervalMs: number;
}

/**
 * Follows vCPU and I/O threads from CPU to CPU: one read of `/proc/<pid>/task/<tid>/stat` a thread and sample
 * (docs/performance.md says what that costs). The time between samples is credited to the CPU found at its end: moves in
 * between are missed, which is why the kernel's own count is exported beside it.
 */
export class Sampler {
  /** A thread that is another one now is another object: see ThreadTable. */
  readonly #residencies = new WeakMap<VmThread, Residency>();
  #last: number | undefined;

  constructor(
    private readonly host: Host,
    private readonly settings: () => SamplerSettings,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * Takes one sample of every lasting thread on the I/O path.
   *
   * @returns what could not be read; a thread that has ended is no problem
   */
  async sample(
    vms: readonly Vm[],
    threadsOf: (vm: Vm) => Iterable<VmThread>,
  ): Promise<readonly SourceError[]> {
    const pace = new Pace();
    const problems: SourceError[] = [];
    const { maxCpus, intervalMs } = this.settings();
    const at = this.now();
    const gap = at - (this.#last ?? at);
    this.#last = at;
    const seconds = gap <= intervalMs * MAX_GAP_INTERVALS ? gap / 1000 : 0;
    for (const vm of vms) {
      if (pace.isDue()) await pace.giveWay();
      for (const thread of threadsOf(vm)) {
        if (!SAMPLED_ROLES.has(thread.role)) continue;
        try {
          this.#sampleThread(thread, seconds, maxCpus);
        } catch (error) {
          if (!isGone(error) && problems.length < MAX_PROBLEMS)
            problems.push(sourceError(error, thread.path));
        }
      }
    }
    return problems;
  }

  /** undefined for a thread that was not sampled yet. */
  residencyOf(thread: VmThread): Residency | undefined {
    return this.#residencies.get(thread);
  }

  #sampleThread(thread: VmThread, seconds: number, maxCpus: number): void {
    const { startTime, processor } = readTaskStat(this.host, thread.path);
    if (startTime !== thread.startTime) return;
    const residency = this.#residencies.get(thread);
    if (residency !== undefined) observe(residency, processor, seconds, maxCpus);
    else this.#residencies.set(thread, newResidency(processor));
  }
}
