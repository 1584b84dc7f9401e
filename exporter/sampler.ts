import { isGone } from '../probes/errors.ts';
import type { Host } from '../probes/host.ts';
import { readTaskStat } from '../probes/proc-task-stat.ts';
import { newResidency, observe, type Residency } from './model/residency.ts';
import { SAMPLED_ROLES } from './model/roles.ts';
import type { Vm, VmThread } from './model/vm.ts';
import { Pace } from './pace.ts';

/** A gap longer than this many intervals (a stopped daemon, a suspended host) is not credited to any CPU. */
const MAX_GAP_INTERVALS = 3;

export interface SamplerSettings {
  /** CPUs per thread that are counted apart. */
  readonly maxCpus: number;
  readonly intervalMs: number;
}

/**
 * Follows vCPU and I/O threads from CPU to CPU: one read of `/proc/<pid>/task/<tid>/stat` a thread and sample, about
 * 3 microseconds, so 1,000 threads at one sample a second cost 0.3% of one CPU. The time between samples is credited
 * to the CPU found at its end: moves in between are missed, which is why the kernel's own count is exported beside it.
 */
export class Sampler {
  readonly #residencies = new Map<string, Residency>();
  #last: number | undefined;

  constructor(
    private readonly host: Host,
    private readonly settings: () => SamplerSettings,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Takes one sample of every lasting thread on the I/O path. */
  async sample(vms: readonly Vm[], threadsOf: (vm: Vm) => Iterable<VmThread>): Promise<void> {
    const pace = new Pace();
    const { maxCpus, intervalMs } = this.settings();
    const at = this.now();
    const gap = at - (this.#last ?? at);
    this.#last = at;
    const seconds = gap <= intervalMs * MAX_GAP_INTERVALS ? gap / 1000 : 0;
    const seen = new Set<string>();
    for (const vm of vms) {
      if (pace.isDue()) await pace.giveWay();
      for (const thread of threadsOf(vm)) {
        if (!SAMPLED_ROLES.has(thread.role)) continue;
        const key = `${vm.key}/${thread.label}`;
        seen.add(key);
        this.#sampleThread(key, thread, seconds, maxCpus);
      }
    }
    for (const key of this.#residencies.keys()) if (!seen.has(key)) this.#residencies.delete(key);
  }

  /** undefined for a thread that was not sampled yet. */
  residencyOf(vm: Vm, thread: VmThread): Residency | undefined {
    const residency = this.#residencies.get(`${vm.key}/${thread.label}`);
    return residency?.startTime === thread.startTime ? residency : undefined;
  }

  #sampleThread(key: string, thread: VmThread, seconds: number, maxCpus: number): void {
    try {
      const { startTime, processor } = readTaskStat(this.host, thread.path);
      if (startTime !== thread.startTime) return;
      const residency = this.#residencies.get(key);
      if (residency?.startTime === startTime) observe(residency, processor, seconds, maxCpus);
      else this.#residencies.set(key, newResidency(startTime, processor));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
}
