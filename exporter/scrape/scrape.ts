import { getOrInsert } from '../../kernel/maps.ts';
import { type SourceError, sourceError, TimeIsUp } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { inTime } from '../../probes/in-time.ts';
import type { Sampler } from '../assessment/sampler.ts';
import type { Collection, Collector, CollectorSettings } from '../collectors/collector.ts';
import type { Inventory } from '../inventory/inventory.ts';
import { Families, type Family } from '../metrics/families.ts';
import { LabelCache } from '../metrics/label-cache.ts';
import { type LabelBlock, labelBlock } from '../metrics/labels.ts';
import type { Exports } from '../metrics/profiles.ts';
import type { Build } from '../metrics/self.ts';
import type { Affinity } from '../model/affinity-reading.ts';
import type { Remotes } from '../model/remote.ts';
import type { Stages } from '../model/stage-reading.ts';
import type { TraceReading } from '../model/trace-reading.ts';
import type { ThreadObservation, Vm } from '../model/vm.ts';
import { Yielder } from '../schedule/yielder.ts';
import type { ProblemLog } from './problem-log.ts';
import type { SeriesLog } from './series-log.ts';
import { SharedWork, type Underway } from './shared-work.ts';

/** Settings of a scrape. Computed once per reload. */
export interface ScrapeSettings {
  /** Names of the collectors that do not run. */
  readonly disabled: ReadonlySet<string>;
  /** Maximum number of series in a scrape. */
  readonly maxSeries: number;
  readonly exports: Exports;
  readonly collectors: CollectorSettings;
}

export interface ScrapeDependencies {
  readonly host: Host;
  readonly inventory: Inventory;
  readonly sampler: Sampler;
  readonly collectors: readonly Collector[];
  readonly problemLog: ProblemLog;
  readonly seriesLog: SeriesLog;
  /** False if BPF is off, and for a copy of a host without its rows. */
  readsKernel(): boolean;
  /** Queries VMMs and managers. The responses arrive while the kernel's files are read. */
  queryRemotes(vms: readonly Vm[], withinMs: number): Promise<Remotes>;
  /** Result of the last affinity check. */
  affinity(): Affinity;
  readonly stages: Stages;
  /** Reads the trace events. */
  readTrace(yieldIfDue: () => Promise<void>): TraceReading | Promise<TraceReading>;
  readonly build: Build;
  /** Called when a scrape joins the collection of another one. */
  onCoalesced(): void;
  readonly patientMs?: number;
}

/** Result of one collector. */
export interface CollectorResult {
  /** Empty if the collector read all its sources. */
  readonly problems: readonly SourceError[];
  /** undefined for a collector that did its work before the scrape. */
  readonly seconds: number | undefined;
  readonly series: number;
  /** The data that the source cannot provide on this host, although nothing is wrong. */
  readonly limits: readonly string[];
  /** Why the source is not used here, although nothing failed. */
  readonly missing: readonly SourceError[];
}

export interface ScrapeResult {
  readonly families: readonly Family[];
  readonly results: ReadonlyMap<string, CollectorResult>;
  /** The metrics of the exposition. */
  readonly exports?: Exports;
}

/**
 * If a collection has less time than this, gaps are due to the client's timeout and not to the host, so they
 * are not logged.
 */
const PATIENT_MS = 5000;

/** Collects on demand. Overlapping scrapes share collections. */
export class Scrape {
  readonly #work: SharedWork<ScrapeResult>;

  constructor(
    dependencies: ScrapeDependencies,
    private settings: ScrapeSettings,
  ) {
    const labels = new LabelCache();
    const start = (deadline: number): Underway<ScrapeResult> =>
      begin(dependencies, this.settings, labels, deadline);
    this.#work = new SharedWork(start, isComplete, () => dependencies.onCoalesced());
  }

  /** Applies to later collections. */
  configure(settings: ScrapeSettings): void {
    this.settings = settings;
  }

  /** @param timeoutMs time limit for the result, which may be incomplete */
  collect(timeoutMs: number): Promise<ScrapeResult> {
    return this.#work.ask(performance.now() + timeoutMs);
  }
}

function isComplete({ results }: ScrapeResult): boolean {
  return ![...results.values()].some(({ problems }) => problems.some(isCut));
}

function isCut(problem: SourceError): boolean {
  return problem instanceof TimeIsUp;
}

function begin(
  dependencies: ScrapeDependencies,
  settings: ScrapeSettings,
  labels: LabelCache,
  deadline: number,
): Underway<ScrapeResult> {
  const { host, inventory, sampler } = dependencies;
  const isPatient = deadline - performance.now() >= (dependencies.patientMs ?? PATIENT_MS);
  const families = new Families(settings.maxSeries, settings.exports, labels);
  const results = new Map<string, MutableCollectorResult>();
  const yielder = new Yielder();
  const collectors = dependencies.collectors.filter(
    ({ name }) => !settings.disabled.has(name) && (name !== 'bpf' || dependencies.readsKernel()),
  );
  return { deadline, result: collect(), soFar };

  async function collect(): Promise<ScrapeResult> {
    await run('inventory', () => inventory.refresh(false));
    const remotes = await dependencies.queryRemotes(inventory.vms, share(deadline));
    const snapshot = inventory.readThreads();
    const observed = new Map<string, ThreadObservation[]>();
    const collection: Collection = {
      ...remotes,
      kernel: {
        ...remotes.kernel,
        problems: [...remotes.kernel.problems, ...snapshot.problems],
        missing: [...remotes.kernel.missing, ...snapshot.missing],
        objects: new Map([...snapshot.objects, ...remotes.kernel.objects]),
      },
      host,
      families,
      settings: settings.collectors,
      written: new Map(),
      vms: inventory.vms,
      disks: inventory.disks,
      topology: inventory.topology,
      affinity: dependencies.affinity(),
      stages: dependencies.stages,
      trace: () => dependencies.readTrace(() => collection.yieldIfDue()),
      runsIrqbalance: inventory.runsIrqbalance,
      observeThreads: (vm) => getOrInsert(observed, vm.key, () => inventory.observeThreads(vm, snapshot)),
      residencyOf: (thread) => sampler.residencyOf(thread),
      async yieldIfDue() {
        if (yielder.isDue()) await yielder.yield();
        if (performance.now() > deadline) throw new TimeIsUp('collection');
      },
    };
    for (const collector of collectors) {
      await run(collector.name, async (result) => {
        await collection.yieldIfDue();
        await collector.collect(collection, (problem) => result.problems.push(problem));
        result.limits = collector.limits ?? [];
        result.missing = collector.missing ?? [];
      });
    }
    resultOf('inventory').limits = inventory.limits;
    for (const [name, problems] of inventory.problems) resultOf(name).problems.push(...problems);
    for (const [name, { problems }] of results)
      logProblems(dependencies.problemLog, name, problems, isPatient);
    families.settle();
    labels.trim(families.taken);
    dependencies.seriesLog.update(families.cuts);
    addSelf(dependencies.build, families, results);
    const sorted = families.sorted();
    labels.keepLists(sorted);
    return { families: sorted, results, exports: settings.exports };
  }

  function soFar(): ScrapeResult {
    const copy = families.copy();
    const known = new Map(results);
    for (const name of ['inventory', ...collectors.map((each) => each.name)]) {
      const result = known.get(name);
      if (result?.seconds !== undefined) continue;
      known.set(name, {
        ...(result ?? newResult()),
        problems: [...(result?.problems ?? []), new TimeIsUp(name)],
      });
    }
    copy.settle();
    addSelf(dependencies.build, copy, known);
    return { families: copy.sorted(), results: known, exports: settings.exports };
  }

  function resultOf(name: string): MutableCollectorResult {
    return getOrInsert(results, name, newResult);
  }

  async function run(name: string, work: (result: MutableCollectorResult) => Promise<void>): Promise<void> {
    const result = resultOf(name);
    const start = performance.now();
    const before = families.taken;
    try {
      await inTime(work(result), share(deadline), () => new TimeIsUp(name));
    } catch (error) {
      result.problems.push(sourceError(error, name));
    }
    result.seconds = (performance.now() - start) / 1000;
    result.series = families.taken - before;
  }
}

function newResult(): MutableCollectorResult {
  return { problems: [], seconds: undefined, series: 0, limits: [], missing: [] };
}

interface MutableCollectorResult {
  problems: SourceError[];
  seconds: number | undefined;
  series: number;
  limits: readonly string[];
  missing: readonly SourceError[];
}

/** A hanging collector may use half of the remaining time, so that later collectors still get their share. */
function share(deadline: number): number {
  return Math.max(0, (deadline - performance.now()) / 2);
}

function logProblems(
  log: ProblemLog,
  collector: string,
  problems: readonly SourceError[],
  isPatient: boolean,
): void {
  const real = isPatient ? problems : problems.filter((problem) => !isCut(problem));
  // Probes that ran out of time do not show whether their sources are usable.
  if (real.length > 0 || problems.length === 0) log.update(collector, real);
}

function addSelf(build: Build, families: Families, results: ReadonlyMap<string, CollectorResult>): void {
  const collected = families.series;
  for (const [collector, { problems, seconds }] of results) {
    const labels = labelBlock({ collector });
    families.addUnlimited('kvm_telemetry_collector_success', labels, problems.length === 0 ? 1 : 0);
    if (seconds !== undefined)
      families.addUnlimited('kvm_telemetry_collector_duration_seconds', labels, seconds);
  }
  families.addUnlimited('kvm_telemetry_series', {}, collected);
  families.addUnlimited('kvm_telemetry_series_dropped', {}, families.dropped);
  for (const { owner, dropped } of families.cuts) {
    if (owner !== '')
      families.addUnlimited('kvm_telemetry_vm_series_dropped', owner as LabelBlock<'vm'>, dropped);
  }
  families.addUnlimited(
    'kvm_telemetry_build_info',
    {
      version: build.version,
      revision: build.revision,
      nodejs: process.versions.node,
      simulated: build.simulated,
    },
    1,
  );
}
