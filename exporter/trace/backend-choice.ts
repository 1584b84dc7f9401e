import { SourceError, sourceError } from '../../probes/errors.ts';
import type { Isa } from '../model/io-path.ts';
import type { Backend } from './backend.ts';
import { PerfBackend } from './perf.ts';
import { PerfCounters } from './perf-counters.ts';
import { PERF_SETS, perfCounters, perfLimits } from './perf-events.ts';
import type { StartPerf } from './perf-process.ts';
import type { PerfTotals } from './perf-totals.ts';
import type { TraceSetName } from './sets.ts';
import type { Tallies } from './tallies.ts';
import type { TracedThreads } from './threads.ts';
import { TracefsBackend, type TracefsDependencies } from './tracefs.ts';

export interface TraceSettings {
  readonly backend: 'auto' | 'tracefs' | 'perf' | 'off';
  readonly sets: readonly TraceSetName[];
  readonly dutyCycle: number;
}

export interface BackendDependencies extends TracefsDependencies {
  readonly startPerf: StartPerf;
  /** The host is a copy of another host's files: perf would count on the kernel that runs here. */
  readonly isCopy?: boolean;
}

/** What a backend counts, and the counts that outlive it. */
export interface Counted {
  readonly isa: Isa;
  readonly threads: TracedThreads;
  readonly tallies: Tallies;
  readonly perfTotals: PerfTotals;
}

export interface Choice {
  readonly backend: Backend | undefined;
  /** Why nothing is counted although there is no failure. */
  readonly limits: readonly string[];
}

/**
 * Starts the backend that the settings ask for and the kernel supports.
 *
 * @throws SourceError if there is none
 */
export async function startBackend(
  settings: TraceSettings,
  counted: Counted,
  dependencies: BackendDependencies,
): Promise<Choice> {
  if (settings.backend === 'off') return { backend: undefined, limits: [] };
  if (settings.backend === 'perf') return startPerf(settings, counted, dependencies, []);
  try {
    return { backend: await startTracefs(settings, counted, dependencies), limits: [] };
  } catch (error) {
    const failure = sourceError(error, dependencies.host.roots.tracefs);
    if (settings.backend === 'tracefs') throw failure;
    const why = `perf is used because tracefs is not usable: ${failure.message}`;
    return startPerf(settings, counted, dependencies, [why]);
  }
}

/** @throws SourceError if tracefs cannot be used */
export async function startTracefs(
  { sets, dutyCycle }: TraceSettings,
  { isa, threads, tallies }: Counted,
  dependencies: BackendDependencies,
): Promise<Backend> {
  const tracefs = new TracefsBackend(dependencies, { sets, dutyCycle, isa, threads, tallies });
  await tracefs.start();
  return tracefs;
}

function startPerf(
  { sets }: TraceSettings,
  { isa, threads, perfTotals }: Counted,
  { host, startPerf: start, isCopy = false, now }: BackendDependencies,
  why: readonly string[],
): Choice {
  if (isCopy) {
    const limit =
      'nothing is traced: this is a copy of a host, and perf would count on the kernel that runs here';
    return { backend: undefined, limits: [limit] };
  }
  const counters = perfCounters(host, isa, sets);
  if (counters.length === 0) {
    if (sets.some((set) => PERF_SETS.has(set))) {
      const reason = 'tracefs is not mounted, or the kvm module is not loaded';
      throw new SourceError('absent', `${host.roots.tracefs}/events/kvm`, reason);
    }
    const reason = [`perf counts none of the sets ${sets.join(', ')}`, ...why].join('; ');
    throw new SourceError('absent', 'trace.sets', reason);
  }
  const perf = new PerfBackend({
    counters: new PerfCounters(counters, start, now),
    isa,
    totals: perfTotals,
    threads,
    limits: [...why, ...perfLimits(sets, isa)],
  });
  perf.follow();
  return { backend: perf, limits: [] };
}
