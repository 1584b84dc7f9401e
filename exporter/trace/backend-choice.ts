import { SourceError, sourceError } from '../../probes/errors.ts';
import type { Isa } from '../model/io-path.ts';
import type { Backend } from './backend.ts';
import { BpfBackend } from './bpf/backend.ts';
import type { LoadTraceObject } from './bpf/traced-object.ts';
import { dutyCycleOf } from './budget.ts';
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
  readonly backend: 'auto' | 'bpf' | 'tracefs' | 'perf' | 'off';
  readonly sets: readonly TraceSetName[];
  /** Share of a CPU's time that tracing may take. */
  readonly budget: number;
  /** `off` for --bpf=off. */
  readonly bpf: 'auto' | 'off';
}

export interface BackendDependencies extends TracefsDependencies {
  readonly startPerf: StartPerf;
  /** undefined if there can be no BPF here. */
  readonly loadTraceObject?: LoadTraceObject;
  /** Repeats work until it is stopped. */
  repeat(work: () => void, everyMs: number): { stop(): void };
  /** The host is a copy of another host's files: perf would count on the kernel that runs here. */
  readonly isCopy?: boolean;
}

/** The threads that a backend counts, and the counts that outlive it. */
export interface Counted {
  readonly isa: Isa;
  readonly threads: TracedThreads;
  readonly tallies: Tallies;
  readonly perfTotals: PerfTotals;
}

export interface Choice {
  readonly backend: Backend | undefined;
  /** Whether a better backend is tried again. */
  readonly isFallback: boolean;
  /** Why BPF is not used. */
  readonly missing: readonly SourceError[];
  /** The reason why nothing is counted although nothing failed. */
  readonly limits: readonly string[];
}

const NONE: Choice = { backend: undefined, isFallback: false, missing: [], limits: [] };

/**
 * Starts the backend that the settings ask for and the kernel supports: BPF if it counts all sets, else hist triggers, else BPF
 * for some of the sets, else perf.
 *
 * @throws SourceError if there is none
 */
export async function startBackend(
  settings: TraceSettings,
  counted: Counted,
  dependencies: BackendDependencies,
): Promise<Choice> {
  switch (settings.backend) {
    case 'off':
      return NONE;
    case 'bpf':
      return onlyBpf(loadBpf(settings, counted, dependencies), settings);
    case 'tracefs':
      return { ...NONE, backend: await startTracefs(settings, counted, dependencies) };
    case 'perf':
      return startPerf(settings, counted, dependencies, []);
    case 'auto':
      return startAny(settings, counted, dependencies);
  }
}

async function startAny(
  settings: TraceSettings,
  counted: Counted,
  dependencies: BackendDependencies,
): Promise<Choice> {
  const bpf = loadBpf(settings, counted, dependencies);
  const missing = bpf?.lacks ?? [];
  if (bpf?.isUsable === true && missing.length === 0) return begun(bpf);
  try {
    const backend = await startTracefs(settings, counted, dependencies);
    await bpf?.stop();
    return { ...NONE, backend, missing };
  } catch (error) {
    const failure = sourceError(error, dependencies.host.roots.tracefs);
    const why = `because tracefs is not usable: ${failure.message}`;
    if (bpf?.isUsable === true)
      return { ...begun(bpf), isFallback: true, limits: [`only some sets are counted, ${why}`] };
    const perf = startPerf(settings, counted, dependencies, [`perf is used ${why}`]);
    return { ...perf, isFallback: true, missing };
  }
}

function begun(bpf: BpfBackend): Choice {
  bpf.begin();
  return { ...NONE, backend: bpf };
}

/** BPF, if it can count all sets now. The objects are loaded, but do not count yet. */
export async function loadBpfForAll(
  settings: TraceSettings,
  counted: Counted,
  dependencies: BackendDependencies,
): Promise<BpfBackend | undefined> {
  const bpf = loadBpf(settings, counted, dependencies);
  if (bpf?.lacks.length === 0) return bpf;
  await bpf?.stop();
  return undefined;
}

/** undefined if there can be no BPF here. */
function loadBpf(
  { sets, bpf, budget }: TraceSettings,
  { isa, threads, tallies }: Counted,
  { loadTraceObject: load, sinceBoot, now, repeat, isCopy = false }: BackendDependencies,
): BpfBackend | undefined {
  if (load === undefined || bpf === 'off' || isCopy) return undefined;
  return new BpfBackend({ load, isa, sets, budget, tallies, threads, sinceBoot, now, repeat });
}

/** @throws SourceError if BPF counts nothing */
function onlyBpf(bpf: BpfBackend | undefined, settings: TraceSettings): Choice {
  if (bpf?.isUsable === true) return begun(bpf);
  const off = settings.bpf === 'off' ? 'BPF is off: --bpf=off' : 'this is a copy of a host';
  throw bpf?.lacks[0] ?? new SourceError('absent', 'BPF', off);
}

/** @throws SourceError if tracefs cannot be used */
export async function startTracefs(
  { sets, budget }: TraceSettings,
  { isa, threads, tallies }: Counted,
  dependencies: BackendDependencies,
): Promise<Backend> {
  const tracefs = new TracefsBackend(dependencies, {
    sets,
    dutyCycle: dutyCycleOf(budget),
    // Events of a copied host cost no guest anything.
    budget: dependencies.isCopy === true ? 1 : budget,
    isa,
    threads,
    tallies,
  });
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
    return { ...NONE, limits: [limit] };
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
  return { ...NONE, backend: perf };
}
