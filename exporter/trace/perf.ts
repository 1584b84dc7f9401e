import type { SourceError } from '../../probes/errors.ts';
import type { Isa } from '../model/io-path.ts';
import type { VmTrace } from '../model/vm-trace.ts';
import type { Backend } from './backend.ts';
import type { PerfCounters, PerfTarget } from './perf-counters.ts';
import { traceFromPerf } from './perf-events.ts';
import type { PerfTotals } from './perf-totals.ts';

export interface PerfOptions {
  readonly counters: PerfCounters;
  readonly isa: Isa;
  readonly totals: PerfTotals;
  readonly threads: {
    readonly vms: Iterable<string>;
    /** The vCPU threads of each VM. */
    readonly vcpus: readonly PerfTarget[];
  };
  readonly limits: readonly string[];
}

/** Counts with one perf process per VM, on kernels without hist triggers. */
export class PerfBackend implements Backend {
  readonly name = 'perf';
  readonly sets = [];

  constructor(private readonly options: PerfOptions) {}

  /** Starts a perf process for each VM, and for threads that no process counts yet. */
  follow(): void {
    this.options.counters.follow(this.options.threads.vcpus);
  }

  async tick(): Promise<void> {
    this.follow();
  }

  /** perf reports at its own interval, so there is nothing to read. */
  read(): Iterable<void> {
    this.follow();
    return [];
  }

  of(vm: string): VmTrace | undefined {
    const { counters, totals, isa } = this.options;
    const counts = totals.of(vm, counters.counts(vm));
    return counts === undefined ? undefined : traceFromPerf(counts, isa);
  }

  current(vm: string, withinMs: number): Promise<void> {
    return this.options.counters.next(vm, withinMs);
  }

  async stop(): Promise<readonly SourceError[]> {
    const { counters, totals, threads } = this.options;
    await counters.stop();
    totals.keep(threads.vms, (vm) => counters.counts(vm));
    return [];
  }

  get problems(): readonly SourceError[] {
    return this.options.counters.problems;
  }

  get limits(): readonly string[] {
    return this.options.limits;
  }
}
